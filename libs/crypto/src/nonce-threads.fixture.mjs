// Three threads take nonces at the same time; prints how many they got and how many of those differ.
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { register } from "tsx/esm/api";

// A worker does not inherit the loader that reads TypeScript.
if (!isMainThread) register();
const { nextNonce } = await import("@memseal/crypto");
const take = () => Array.from({ length: 5_000 }, () => Buffer.from(nextNonce()).toString("hex"));

if (isMainThread) {
  const workers = [1, 2].map(() => new Promise((resolve, reject) => new Worker(new URL(import.meta.url)).once("message", resolve).once("error", reject)));
  const nonces = [...take(), ...(await Promise.all(workers)).flat()];
  console.log(JSON.stringify({ given: nonces.length, different: new Set(nonces).size }));
} else {
  parentPort.postMessage(take());
}
