import { StartupError, UnavailableError } from "@memseal/errors";
import { Logger } from "@memseal/telemetry";
import { ModelThread, type ModelThreadSpec } from "./model-thread.js";

interface Fixture {
  echo(text: string): string;
  device(): string;
  crash(): never;
  spin(ms: number): number;
}

/** A worker that needs no model: what it does when asked, and when it starts. */
function script(onStart = ""): URL {
  const source = `
    import { parentPort, workerData } from "node:worker_threads";
    ${onStart}
    const work = {
      echo: (text) => text,
      device: () => workerData.device,
      crash: () => { throw new Error("out of luck"); },
      spin: (ms) => { const end = performance.now() + ms; while (performance.now() < end); return ms; },
    };
    parentPort.on("message", ({ method, args }) => parentPort.postMessage({ kind: "result", result: work[method](...args) }));
    parentPort.postMessage({ kind: "ready", model: "fixture", provider: "cpu" });`;
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

const log = new Logger("test", () => undefined);
const specOf = (url: URL, onLost: (error: unknown) => void = () => undefined): ModelThreadSpec => ({ script: url, data: { kind: "embed", device: "auto" }, log, onLost });

describe("ModelThread", () => {
  const started: ModelThread<Fixture>[] = [];
  const start = async (spec: ModelThreadSpec) => {
    const thread = await ModelThread.start<Fixture>(spec);
    started.push(thread);
    return thread;
  };
  afterEach(async () => { await Promise.all(started.splice(0).map((thread) => thread.close())); });

  it("answers calls and says which model it loaded where", async () => {
    const thread = await start(specOf(script()));
    expect(thread.loaded).toEqual({ model: "fixture", provider: "cpu" });
    expect(await thread.call("echo", "hello")).toBe("hello");
  });

  it("leaves the event loop free while it works", async () => {
    const thread = await start(specOf(script()));
    const spun = thread.call("spin", 300);
    const delays: number[] = [];
    for (let tick = performance.now(); delays.length < 20; tick = performance.now()) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      delays.push(performance.now() - tick);
    }
    // The median: other programs share the machine's cores.
    expect(delays.sort((a, b) => a - b)[10]).toBeLessThan(50);
    await spun;
  });

  it("fails the call it had when it ends, and answers the next one on the device it had", async () => {
    const thread = await start(specOf(script()));
    await expect(thread.call("crash")).rejects.toThrow(UnavailableError);
    expect(await thread.call("echo", "again")).toBe("again");
    expect(await thread.call("device")).toBe("cpu");
  });

  it("reports that it is lost when it cannot be started again", async () => {
    const refusesSecondStart = script(`if (workerData.device === "cpu") { parentPort.postMessage({ kind: "refused", reason: "the model is gone" }); process.exit(); }`);
    const lost = new Promise<unknown>((resolve) => {
      void ModelThread.start<Fixture>(specOf(refusesSecondStart, resolve)).then((thread) => expect(thread.call("crash")).rejects.toThrow(UnavailableError));
    });
    await expect(lost).resolves.toMatchObject({ message: "the model is gone" });
  });

  it("refuses to start with the reason the worker gave", async () => {
    const refuses = script(`parentPort.postMessage({ kind: "refused", reason: "model.json cannot be read" }); process.exit();`);
    await expect(start(specOf(refuses))).rejects.toThrow(new StartupError("model.json cannot be read"));
  });

  it("refuses to start when the worker ends without a reason", async () => {
    await expect(start(specOf(script("process.exit(1);")))).rejects.toThrow("ended before its model was loaded");
  });
});
