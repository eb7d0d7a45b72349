// Preloaded into a service (NODE_OPTIONS=--import); see heap-dumps.ts. On SIGUSR2 every thread of the process collects its garbage
// and writes what it still holds to MEMSEAL_DUMP_DIR: a heap snapshot with its strings whole, and the bytes of each ArrayBuffer
// that JavaScript can reach, which no snapshot shows. MEMSEAL_CONTROL is held in both, and is a label of the metrics.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString, writeHeapSnapshot } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread, threadId } from "node:worker_threads";

// A snapshot would have the first 1,024 characters of each string.
setFlagsFromString("--heap-snapshot-string-limit=1000000000");
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

const control = process.env.MEMSEAL_CONTROL;
globalThis.heldOnPurpose = { text: `string ${control}`, bytes: new TextEncoder().encode(`bytes ${control}`) };
if (isMainThread) {
  const { default: { Registry } } = await import("prom-client");
  const { setDefaultLabels } = Registry.prototype;
  Registry.prototype.setDefaultLabels = function (labels) { setDefaultLabels.call(this, { ...labels, control }); };
}

const path = (kind) => join(process.env.MEMSEAL_DUMP_DIR, `${process.pid}-${threadId}.${kind}`);

async function dump() {
  // What a finalizer or a closed connection lets go of is garbage of the next time.
  for (let i = 0; i < 5; i++) {
    await nextTurn();
    collectGarbage();
  }
  writeBuffers(path("buffers"));
  writeHeapSnapshot(path("heapsnapshot"));
  writeFileSync(path("done"), "");
}

function writeBuffers(file) {
  const buffers = new Set();
  for (const object of ["ArrayBuffer.prototype", "SharedArrayBuffer.prototype", "Object.getPrototypeOf(Uint8Array.prototype)", "DataView.prototype"].flatMap(livingObjects)) {
    // Small arrays have their bytes in the heap until somebody asks for their buffer. Prototypes have none.
    const buffer = ArrayBuffer.isView(object) ? object.buffer : object;
    if (buffer instanceof ArrayBuffer || buffer instanceof SharedArrayBuffer) buffers.add(buffer);
  }
  const out = openSync(file, "w", 0o600);
  for (const buffer of buffers) {
    const bytes = new Uint8Array(buffer);
    for (let at = 0; at < bytes.length; ) at += writeSync(out, bytes, at);
  }
  closeSync(out);
}

/** Every object under a prototype, given as an expression, that can be reached. */
function livingObjects(prototype) {
  const session = new Session();
  session.connect();
  // A session of its own thread answers before post() returns.
  const post = (method, parameters) => {
    let answer;
    session.post(method, parameters, (error, result) => {
      if (error) throw new Error(`${method}: ${error.message}`);
      answer = result;
    });
    return answer;
  };
  let found;
  globalThis.takeLivingObjects = (objects) => { found = objects; };
  const { result } = post("Runtime.evaluate", { expression: prototype });
  const { objects } = post("Runtime.queryObjects", { prototypeObjectId: result.objectId });
  post("Runtime.callFunctionOn", { objectId: objects.objectId, functionDeclaration: "function () { globalThis.takeLivingObjects([...this]); }" });
  delete globalThis.takeLivingObjects;
  session.disconnect();
  return found;
}

const channel = new BroadcastChannel("memseal heap dump");
channel.onmessage = () => void dump();
channel.unref();
if (isMainThread) {
  process.on("SIGUSR2", () => {
    channel.postMessage("dump");
    void dump();
  });
}
writeFileSync(path("thread"), "");
