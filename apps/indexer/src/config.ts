import { listenAddress, privateServiceVariables, telemetryVariables } from "@memseal/config";
import { z } from "zod";

const files = z.string().transform((list) => list.split(",")).pipe(z.array(z.string().min(1)).min(1).max(2));

/** The variables of the indexer. */
export const indexerConfig = z.object({
  ...privateServiceVariables,
  MEMSEAL_INDEXER_ADDRESS: listenAddress.default("127.0.0.1:7482"),
  /** Where it serves `/metrics`; nowhere unless set. */
  MEMSEAL_METRICS_ADDRESS: listenAddress.optional(),
  ...telemetryVariables,
  /** The app role's connection. */
  DATABASE_URL: z.string(),
  /** The auth role's connection, for API keys alone. */
  DATABASE_AUTH_URL: z.string(),
  MEMSEAL_ROOT_KEY_FILE: z.string(),
  /** Public keys of the gateways, PEM, comma-separated: one, or two during a rotation. */
  MEMSEAL_ASSERTION_PUBLIC_KEY_FILES: files,
  /** Ed25519 private key, PEM, for receipts of erasures alone; absent: they are not signed. */
  MEMSEAL_RECEIPT_KEY_FILE: z.string().optional(),
  /** The scheduler role's connection, which finds tenants with work. */
  DATABASE_SCHEDULER_URL: z.string(),
  /** Tenant indexes kept in memory. */
  MEMSEAL_INDEX_CACHE_BYTES: z.coerce.number().int().min(1_000_000).default(1024 ** 3),
  /** Searchable spans of one tenant: a search beyond is refused rather than slow. */
  MEMSEAL_MAX_TENANT_CHUNKS: z.coerce.number().int().min(1).default(1_000_000),
  /** What one tenant may keep. */
  MEMSEAL_QUOTA_MEMORIES: z.coerce.number().int().min(1).default(1_000_000),
  MEMSEAL_QUOTA_BYTES: z.coerce.number().int().min(1).default(16 * 1024 ** 3),
});

export type IndexerConfig = z.infer<typeof indexerConfig>;
