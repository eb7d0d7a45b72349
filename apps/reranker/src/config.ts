import { listenAddress, privateServiceVariables, track } from "@memseal/config";
import { StartupError } from "@memseal/errors";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { z } from "zod";

/** The variables of the reranker. */
export const rerankerConfig = z.object({
  ...privateServiceVariables,
  MEMSEAL_RERANKER_ADDRESS: listenAddress.default("127.0.0.1:7483"),
  /** Where it serves `/metrics`; nowhere unless set. */
  MEMSEAL_METRICS_ADDRESS: listenAddress.optional(),
  MEMSEAL_TRACK: track,
  MEMSEAL_DEVICE: z.enum(["auto", "cuda", "cpu"]).default("auto"),
  /** The models that ship, unless set. */
  MEMSEAL_MODELS_DIR: z.string().startsWith("/", "must be an absolute path").optional(),
  /** Pairs scored at the same time, one core each. */
  MEMSEAL_RERANK_WORKERS: z.coerce.number().int().min(1).max(64).default(Math.min(2, availableParallelism())),
});

export type RerankerConfig = z.infer<typeof rerankerConfig>;

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
