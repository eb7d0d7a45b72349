// A thread that owns a session and scores pairs that are tokens already, one a run on a CPU, all in one on a GPU: what a service cannot
// do without.
import { parentPort, workerData } from "node:worker_threads";
import { CrossEncoder } from "@memseal/inference";

const crossEncoder = await CrossEncoder.load({ device: workerData.device });
parentPort.on("message", async (pairs) => {
  if (crossEncoder.provider === "cpu") for (const pair of pairs) await crossEncoder.score([pair]);
  else await crossEncoder.score(pairs);
  parentPort.postMessage("done");
});
parentPort.postMessage("ready");
