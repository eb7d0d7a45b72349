// The worker thread that owns an onnxruntime session: session.run() blocks the thread that calls it.
import { AppError } from "@memseal/errors";
import { CrossEncoder, Embedder, PairTokenizer, Windower, type LoadOptions, type Provider } from "@memseal/inference";
import { parentPort, workerData } from "node:worker_threads";

/** What a worker of each kind can be asked to do, one call at a time. */
export interface ModelWork {
  embed: Pick<Embedder, "embed" | "embedQuery" | "windows">;
  rerank: Pick<CrossEncoder, "score">;
  /** For a cross-encoder: what it reads. */
  pairs: Pick<PairTokenizer, "pairs">;
  /** Of an embedder that is somewhere else: only its texts are cut here. */
  cut: Pick<Windower, "windows">;
}

export interface ModelWorkerData extends LoadOptions {
  kind: keyof ModelWork;
}

export interface ModelWorkerCall {
  method: string;
  args: readonly unknown[];
}

export type ModelWorkerMessage =
  | { kind: "ready"; model: string; provider: Provider }
  | { kind: "refused"; reason: string }
  | { kind: "result"; result: unknown };

const LOADERS = {
  embed: (options: LoadOptions) => Embedder.load(options),
  rerank: (options: LoadOptions) => CrossEncoder.load(options),
  pairs: (options: LoadOptions) => PairTokenizer.load(options),
  cut: () => Windower.load(),
};

function send(message: ModelWorkerMessage): void {
  parentPort?.postMessage(message);
}

const { kind, ...options } = workerData as ModelWorkerData;
try {
  const work = await LOADERS[kind](options);
  const methods = work as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
  const answer = async ({ method, args }: ModelWorkerCall) => { send({ kind: "result", result: await methods[method](...args) }); };
  // A failing call is not caught: the thread ends, its call fails, and a fresh one takes its place.
  parentPort?.on("message", (call: ModelWorkerCall) => void answer(call));
  send({ kind: "ready", model: work.model, provider: work.provider });
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  send({ kind: "refused", reason: error.message });
}
