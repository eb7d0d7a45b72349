import { isKeptSecret, listenAddress, privateServiceVariables, telemetryVariables } from "@memseal/config";
import { StartupError } from "@memseal/errors";
import { readFileSync, statSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";

// As the log and the tenants' rows may hold it.
const modelName = z.string().regex(/^[\w.:/@-]{1,128}$/, "must be a model's name");

/** The variables of the reranker. */
export const rerankerConfig = z.object({
  ...privateServiceVariables,
  MEMSEAL_RERANKER_ADDRESS: listenAddress.default("127.0.0.1:7483"),
  /** Where it serves `/metrics`; nowhere unless set. */
  MEMSEAL_METRICS_ADDRESS: listenAddress.optional(),
  ...telemetryVariables,
  MEMSEAL_DEVICE: z.enum(["auto", "cuda", "cpu"]).default("auto"),
  /** Where a model is looked for before those that ship. */
  MEMSEAL_MODELS_DIR: z.string().startsWith("/", "must be an absolute path").default(join(homedir(), ".memseal", "models")),
  /** Instead of the models that ship for the job. With MEMSEAL_EMBED_URL, the endpoint's name of its model. */
  MEMSEAL_EMBED_MODEL: modelName.optional(),
  MEMSEAL_RERANK_MODEL: modelName.optional(),
  /** An OpenAI-compatible API, such as `https://api.openai.com/v1`, that embeds instead of a model of ours. Texts are sent to it. */
  MEMSEAL_EMBED_URL: z.url({ protocol: /^https?$/ }).optional(),
  MEMSEAL_EMBED_DIMENSION: z.coerce.number().int().min(1).max(16_384).optional(),
  MEMSEAL_EMBED_KEY_FILE: z.string().startsWith("/", "must be an absolute path").optional(),
  MEMSEAL_EMBED_TIMEOUT_MS: z.coerce.number().int().min(1).max(30_000).default(5_000),
  /** Pairs scored at the same time, one core each. */
  MEMSEAL_RERANK_WORKERS: z.coerce.number().int().min(1).max(64).default(Math.min(2, availableParallelism())),
});

export type RerankerConfig = z.infer<typeof rerankerConfig>;

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export interface Endpoint {
  url: URL;
  model: string;
  dimension: number;
  apiKey: string | undefined;
  timeoutMs: number;
}

/** The embedding endpoint, where there is one. @throws StartupError when it is not whole, or would be reached in plaintext */
export function parseEndpoint(config: RerankerConfig): Endpoint | undefined {
  const { MEMSEAL_EMBED_URL: address, MEMSEAL_EMBED_MODEL: model, MEMSEAL_EMBED_DIMENSION: dimension, MEMSEAL_EMBED_KEY_FILE: keyFile, MEMSEAL_EMBED_TIMEOUT_MS: timeoutMs } = config;
  if (address === undefined) {
    if (dimension !== undefined || keyFile !== undefined) throw new StartupError("MEMSEAL_EMBED_DIMENSION and MEMSEAL_EMBED_KEY_FILE belong to MEMSEAL_EMBED_URL, which is not set");
    return undefined;
  }
  if (model === undefined || dimension === undefined) throw new StartupError("MEMSEAL_EMBED_URL needs MEMSEAL_EMBED_MODEL and MEMSEAL_EMBED_DIMENSION beside it");
  const url = new URL(address);
  if (url.protocol !== "https:" && !LOOPBACK.test(url.hostname)) throw new StartupError("MEMSEAL_EMBED_URL must begin with https: texts and the key would cross the network in plaintext");
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new StartupError("MEMSEAL_EMBED_URL must be scheme, host and path alone: a key belongs in MEMSEAL_EMBED_KEY_FILE");
  }
  return { url, model, dimension, apiKey: keyFile === undefined ? undefined : readApiKey(keyFile), timeoutMs };
}

/** One line of visible ASCII in a file that is kept secret. @throws StartupError that never holds its content */
function readApiKey(file: string): string {
  let key: string;
  let isSecret: boolean;
  try {
    isSecret = isKeptSecret(statSync(file), process.geteuid?.());
    key = readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new StartupError(`key file ${file} cannot be read`, { cause: error });
  }
  if (!isSecret) throw new StartupError(`key file ${file} is readable by others: chmod 600 it`);
  if (!/^[!-~]{1,4096}$/.test(key)) throw new StartupError(`key file ${file} must hold one key on one line`);
  return key;
}

const SERVICES = ["embed", "rerank"] as const;

export type Service = (typeof SERVICES)[number];

const serve = z.string().transform((list) => list.split(",")).pipe(z.array(z.enum(SERVICES)).min(1));

/** The services named by `--serve embed,rerank`; both without it. @throws StartupError */
export function parseServices(args: readonly string[]): ReadonlySet<Service> {
  try {
    const { values } = parseArgs({ args: [...args], options: { serve: { type: "string", default: SERVICES.join(",") } } });
    return new Set(serve.parse(values.serve));
  } catch (error) {
    throw new StartupError(`arguments are not usable: give --serve ${SERVICES.join(",")} or one of the two, or nothing`, { cause: error });
  }
}
