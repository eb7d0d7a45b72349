import { listenAddress, listenAddresses, telemetryVariables, transportVariables } from "@memseal/config";
import { z } from "zod";
import { RATE_CLASSES, type PerSecond, type RateClass } from "./rates.js";

const HOST_AND_PORT = /^(?<host>[^:\s]+|\[[0-9a-f:]+\]):(?<port>\d{1,5})$/i;

/** `host:port`, with an IPv6 host in brackets. */
const httpAddress = z.string().regex(HOST_AND_PORT, "must be host:port").transform((address) => {
  const { host = "", port = "" } = HOST_AND_PORT.exec(address)?.groups ?? {};
  return { address, host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
});

/** Such as `https://app.example`, several with commas. Each is named: `*` would let every page in the world try keys. */
const origins = z.string().transform((text) => text.split(",").map((origin) => origin.trim()))
  .refine((all) => all.every(isOrigin), "must be origins such as https://app.example, with commas between them and nothing after the host and port; * is none");

function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

const RATE = /^(?<kind>[a-z]+)=(?<perSecond>\d{1,6}(\.\d{1,3})?)$/;

/** Requests a second, such as `read=200,write=50`; what is left out is as in `defaults`. */
function rates(defaults: PerSecond) {
  return z.string().default("").transform((text, context): PerSecond => {
    const given: Partial<Record<RateClass, number>> = {};
    for (const part of text === "" ? [] : text.split(",")) {
      const { kind, perSecond } = RATE.exec(part)?.groups ?? {};
      const known = RATE_CLASSES.find((one) => one === kind);
      if (known === undefined || given[known] !== undefined || !(Number(perSecond) > 0)) {
        context.issues.push({ code: "custom", input: text, message: `must be requests a second, such as ${RATE_CLASSES.map((one) => `${one}=${defaults[one]}`).join(",")}` });
        return z.NEVER;
      }
      given[known] = Number(perSecond);
    }
    return { ...defaults, ...given };
  });
}

/** The variables of the gateway. Addresses of services are `host:port` or `unix:/path`. */
export const gatewayConfig = z.object({
  ...transportVariables,
  /** PEM files of what callers connect to, HTTP and gRPC. Both, or none. */
  MEMSEAL_PUBLIC_TLS_CERT_FILE: z.string().optional(),
  MEMSEAL_PUBLIC_TLS_KEY_FILE: z.string().optional(),
  MEMSEAL_HTTP_ADDRESS: httpAddress.prefault("127.0.0.1:7480"),
  MEMSEAL_GRPC_ADDRESS: listenAddress.default("127.0.0.1:7481"),
  /** Of one or more, comma-separated; each a name may have several, too. */
  MEMSEAL_INDEXER_ADDRESS: listenAddresses,
  MEMSEAL_RERANKER_ADDRESS: listenAddress,
  /** Where it runs apart from the reranker. */
  MEMSEAL_EMBEDDER_ADDRESS: listenAddress.optional(),
  MEMSEAL_TENANT_SECRET_FILE: z.string(),
  MEMSEAL_PEPPER_FILE: z.string(),
  /** Ed25519 private key, PEM. */
  MEMSEAL_ASSERTION_KEY_FILE: z.string(),
  /** Ed25519 public keys, PEM, comma-separated: of the other gateways, whose tokens count here too, and during a rotation of the key before. */
  MEMSEAL_TOKEN_PUBLIC_KEY_FILES: z.string().optional().transform((list) => list?.split(",").map((file) => file.trim()) ?? []),
  /** Ed25519 public keys, PEM, comma-separated: of the indexers' receipts, and those of before. They are shown to everybody. */
  MEMSEAL_RECEIPT_PUBLIC_KEY_FILES: z.string().optional().transform((list) => list?.split(",").map((file) => file.trim()) ?? []),
  /** JSON: whose JWTs are taken. None without it. */
  MEMSEAL_ISSUERS_FILE: z.string().optional(),
  /** What one credential, and one user with all of theirs, may ask of this process. */
  MEMSEAL_RATES_CREDENTIAL: rates({ read: 500, write: 250, rerank: 100 }),
  MEMSEAL_RATES_TENANT: rates({ read: 1_000, write: 500, rerank: 200 }),
  /** Failed authentications a second of one address. */
  MEMSEAL_RATE_FAILED_AUTH: z.coerce.number().min(0.1).max(1_000_000).default(20),
  /** After this long an answer goes out in fused order. */
  MEMSEAL_RERANK_TIMEOUT_MS: z.coerce.number().int().min(1).max(10_000).default(250),
  /** How many of the best candidates are scored. */
  MEMSEAL_RERANK_DEPTH: z.coerce.number().int().min(1).max(100).default(24),
  /** How many are enough where there is no time for all; the depth or more: a search is not shortened. */
  MEMSEAL_RERANK_MIN_DEPTH: z.coerce.number().int().min(1).max(100).default(12),
  /** What a logit counts beside the fused score. */
  MEMSEAL_RERANK_WEIGHT: z.coerce.number().min(0).max(10).default(0.5),
  /** What answers that wait to be taken may hold in memory: those of one user, and all together. */
  MEMSEAL_UNTAKEN_BYTES_TENANT: z.coerce.number().int().min(2_097_152).default(16_777_216),
  MEMSEAL_UNTAKEN_BYTES_TOTAL: z.coerce.number().int().min(33_554_432).default(268_435_456),
  /** How long a request may take to arrive over HTTP, its body included, and an answer to be taken: longer than any deadline. */
  MEMSEAL_HTTP_RECEIVE_TIMEOUT_MS: z.coerce.number().int().min(1_000).max(600_000).default(60_000),
  /** Whose pages may call from a browser. None: no page may. */
  MEMSEAL_CORS_ORIGINS: origins.optional(),
  /** JSON: what is switched off, read each second. */
  MEMSEAL_FLAGS_FILE: z.string().optional(),
  ...telemetryVariables,
  /** What part of the requests is traced, 0 to 1, where a receiver is named. */
  MEMSEAL_TRACE_SHARE: z.coerce.number().min(0).max(1).default(0.05),
});

export type GatewayConfig = z.infer<typeof gatewayConfig>;
