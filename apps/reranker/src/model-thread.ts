import { StartupError, UnavailableError } from "@memseal/errors";
import type { Provider } from "@memseal/inference";
import type { Logger } from "@memseal/telemetry";
import { Worker } from "node:worker_threads";
import type { ModelWorkerCall, ModelWorkerData, ModelWorkerMessage } from "./model-worker.js";

type Methods<Work> = { [Name in keyof Work]: Work[Name] extends (...args: infer Args) => infer Result ? { args: Args; result: Awaited<Result> } : never };

export interface ModelThreadSpec {
  script: URL;
  data: ModelWorkerData;
  log: Logger;
  /** Called when the thread ended and cannot be started again: the process can do no more. */
  onLost: (error: unknown) => void;
}

/** A worker thread seen from the main thread. When it ends, the call it had fails and it is started again. */
export class ModelThread<Work> {
  readonly #spec: ModelThreadSpec;
  #worker: Promise<Worker>;
  #loaded: { model: string; provider: Provider } | undefined;
  #pending: { resolve: (result: unknown) => void; reject: (error: Error) => void } | undefined;
  #closing = false;

  private constructor(spec: ModelThreadSpec) {
    this.#spec = spec;
    this.#worker = this.#spawn();
  }

  /** Resolves when the model is loaded and warm. @throws StartupError */
  static async start<Work>(spec: ModelThreadSpec): Promise<ModelThread<Work>> {
    const thread = new ModelThread<Work>(spec);
    await thread.#worker;
    return thread;
  }

  get loaded(): { model: string; provider: Provider } {
    if (!this.#loaded) throw new Error("not started");
    return this.#loaded;
  }

  /** One call at a time. @throws UnavailableError when the thread ends before it answers */
  async call<Name extends keyof Work & string>(method: Name, ...args: Methods<Work>[Name]["args"]): Promise<Methods<Work>[Name]["result"]> {
    const worker = await this.#worker;
    return new Promise<unknown>((resolve, reject) => {
      this.#pending = { resolve, reject };
      worker.postMessage({ method, args } satisfies ModelWorkerCall);
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    await (await this.#worker).terminate();
  }

  #spawn(): Promise<Worker> {
    const { script, data } = this.#spec;
    // A second start takes the device of the first: one service never answers from two models.
    const workerData: ModelWorkerData = { ...data, device: this.#loaded?.provider ?? data.device };
    return new Promise((resolve, reject) => {
      const worker = new Worker(script, { workerData });
      let ready = false;
      let cause: unknown;
      worker.on("message", (message: ModelWorkerMessage) => {
        switch (message.kind) {
          case "ready":
            ready = true;
            this.#loaded = { model: message.model, provider: message.provider };
            resolve(worker);
            break;
          case "refused":
            reject(new StartupError(message.reason));
            break;
          case "result":
            this.#pending?.resolve(message.result);
            this.#pending = undefined;
            break;
          default:
            throw new Error(`unknown message ${JSON.stringify(message satisfies never)}`);
        }
      });
      worker.on("error", (error) => { cause = error; });
      worker.on("exit", (exitCode) => {
        if (ready) this.#restart(exitCode, cause);
        else reject(new StartupError(`the ${data.kind} worker ended before its model was loaded`, { cause }));
      });
    });
  }

  #restart(exitCode: number, cause: unknown): void {
    this.#pending?.reject(new UnavailableError("the model stopped while it worked on this; try again", { cause }));
    this.#pending = undefined;
    if (this.#closing) return;
    this.#spec.log.error("model worker ended", { exitCode, error: cause });
    this.#worker = this.#spawn();
    this.#worker.catch(this.#spec.onLost);
  }
}
