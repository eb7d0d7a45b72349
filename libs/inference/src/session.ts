import { StartupError } from "@memseal/errors";
import { env, InferenceSession, Tensor } from "onnxruntime-node";
import { loadModel, type ModelKind, type ModelSpec, type Provider } from "./model-store.js";
import { Tokenizer, type TokenSequence } from "./tokenizer.js";

// Failures are thrown; what the native library prints beside them is not a log line.
env.logLevel = "fatal";

/** What the operator asked for: `auto` takes a GPU where there is one that works. */
export type Device = "auto" | Provider;

/** The model of one job by provider; a provider without one cannot do that job. */
export type ModelByProvider = Readonly<{ cpu: string; cuda?: string }>;

export interface LoadOptions {
  device: Device;
  /** Folder of the models; the shipped ones when absent. */
  modelsDir?: string | undefined;
}

/** One checked model in memory, ready to run one sequence at a time. */
export class ModelSession<K extends ModelKind> {
  private constructor(
    readonly spec: ModelSpec<K>,
    readonly provider: Provider,
    readonly tokenizer: Tokenizer,
    readonly session: InferenceSession,
  ) {}

  /** @throws StartupError when a file is missing or altered, or the device asked for cannot be had */
  static async open<K extends ModelKind>(kind: K, models: ModelByProvider, { device, modelsDir }: LoadOptions): Promise<ModelSession<K>> {
    switch (device) {
      case "cpu":
        return ModelSession.#create(kind, models.cpu, "cpu", modelsDir);
      case "cuda":
        if (models.cuda === undefined) {
          throw new StartupError(`no shipped ${kind} runs on cuda; set MEMSEAL_DEVICE to auto or cpu for it`);
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
   * The output for one sequence, float32[values]. Never a batch: a dynamically quantised graph takes one activation
   * scale a tensor, so in a batch a result would change with what else is in flight.
   */
  async run({ ids, typeIds }: TokenSequence): Promise<Float32Array> {
    const shape = [1, ids.length];
    const outputs = await this.session.run({
      input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
      attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
      token_type_ids: new Tensor("int64", BigInt64Array.from(typeIds, BigInt), shape),
    });
    return outputs[this.spec.output].data as Float32Array;
  }

  /** @throws StartupError when the graph gives another number of values than its model.json says */
  async warmUp(values: number): Promise<void> {
    const { length } = await this.run(this.tokenizer.text("warm up"));
    if (length !== values) throw new StartupError(`${this.spec.name} gives ${length} values where its model.json says ${values}`);
  }
}

class DeviceMissingError extends StartupError {}
