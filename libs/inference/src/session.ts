import { StartupError } from "@memseal/errors";
import { env, InferenceSession, Tensor } from "onnxruntime-node";
import { loadModel, readSpec, type ModelKind, type ModelSpec, type Provider } from "./model-store.js";
import { Tokenizer, type TokenSequence } from "./tokenizer.js";

// Failures are thrown; what the native library prints beside them is not a log line.
env.logLevel = "fatal";

/** What the operator asked for: `auto` takes a GPU where there is one that works. */
export type Device = "auto" | Provider;

/** The model of one job by provider; a provider without one cannot do that job. */
export type ModelByProvider = Readonly<{ cpu: string; cuda?: string }>;

export interface LoadOptions {
  device: Device;
  /** Instead of the model that ships for the job. */
  model?: string | undefined;
  /** As in ModelChoice. */
  modelsDir?: string | undefined;
}

/** One checked model in memory, ready to run. */
export class ModelSession<K extends ModelKind> {
  private constructor(
    readonly spec: ModelSpec<K>,
    readonly provider: Provider,
    readonly tokenizer: Tokenizer,
    readonly session: InferenceSession,
  ) {}

  /** @throws StartupError when a file is missing or altered, or the device asked for cannot be had */
  static async open<K extends ModelKind>(kind: K, shipped: ModelByProvider, { device, model, modelsDir }: LoadOptions): Promise<ModelSession<K>> {
    const models = model === undefined ? shipped : await providersOf(kind, model, modelsDir);
    switch (device) {
      case "cpu":
        return ModelSession.#create(kind, models.cpu, "cpu", modelsDir);
      case "cuda":
        if (models.cuda === undefined) {
          throw new StartupError(`${model ?? `no shipped ${kind}`} ${model === undefined ? "runs" : "does not run"} on cuda; set MEMSEAL_DEVICE to auto or cpu for it`);
        }
        return ModelSession.#create(kind, models.cuda, "cuda", modelsDir);
      case "auto":
        if (models.cuda === undefined) return ModelSession.#create(kind, models.cpu, "cpu", modelsDir);
        try {
          return await ModelSession.#create(kind, models.cuda, "cuda", modelsDir);
        } catch (error) {
          // A damaged model is refused under `auto` too; only a device that is not there is passed over.
          if (!(error instanceof DeviceMissingError)) throw error;
          return ModelSession.#create(kind, models.cpu, "cpu", modelsDir);
        }
      default:
        throw new StartupError(`unknown device ${String(device satisfies never)}`);
    }
  }

  static async #create<K extends ModelKind>(kind: K, model: string, provider: Provider, modelsDir: string | undefined): Promise<ModelSession<K>> {
    const { spec, graph, tokenizer } = await loadModel({ model, kind, provider, modelsDir });
    const session = await InferenceSession.create(graph, {
      executionProviders: [provider],
      // One core a session: parallelism comes from more sessions, each with a request of its own.
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
    }).catch((error: unknown) => {
      throw provider === "cuda"
        ? new DeviceMissingError("cuda cannot be used here: install the CUDA libraries of onnxruntime, or set MEMSEAL_DEVICE to auto or cpu", { cause: error })
        : new StartupError(`${spec.name} cannot be loaded by onnxruntime`, { cause: error });
    });
    return new ModelSession(spec, provider, new Tokenizer(tokenizer, spec.max_tokens), session);
  }

  /**
   * The output for each sequence, float32[values]. On a CPU never for more than one: a dynamically quantised graph takes one
   * activation scale a tensor, so in a batch a result would change with what else is in flight.
   */
  async run(sequences: readonly TokenSequence[]): Promise<Float32Array[]> {
    const width = Math.max(...sequences.map(({ ids }) => ids.length));
    const shape = [sequences.length, width];
    const tensor = (valuesOf: (sequence: TokenSequence) => readonly number[]) => {
      const values = new BigInt64Array(sequences.length * width);
      for (const [row, sequence] of sequences.entries()) for (const [i, value] of valuesOf(sequence).entries()) values[row * width + i] = BigInt(value);
      return new Tensor("int64", values, shape);
    };
    const outputs = await this.session.run({
      input_ids: tensor(({ ids }) => ids),
      // 0 where a shorter sequence is filled up: the model reads nothing there.
      attention_mask: tensor(({ ids }) => ids.map(() => 1)),
      token_type_ids: tensor(({ typeIds }) => typeIds),
    });
    const data = outputs[this.spec.output].data as Float32Array;
    const size = data.length / sequences.length;
    return sequences.map((_, row) => data.subarray(row * size, (row + 1) * size));
  }
}

/** A model by the providers that it has a graph for. */
async function providersOf(kind: ModelKind, model: string, modelsDir: string | undefined): Promise<ModelByProvider> {
  const { graphs } = (await readSpec({ model, kind, modelsDir })).spec;
  return graphs.cuda === undefined ? { cpu: model } : { cpu: model, cuda: model };
}

class DeviceMissingError extends StartupError {}
