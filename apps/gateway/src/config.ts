import { listenAddress, listenAddresses, track, transportVariables } from "@memseal/config";
import { z } from "zod";

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
  /** After this long an answer goes out in fused order. */
  MEMSEAL_RERANK_TIMEOUT_MS: z.coerce.number().int().min(1).max(10_000).default(250),
  /** How many of the best candidates are scored. */
  MEMSEAL_RERANK_DEPTH: z.coerce.number().int().min(1).max(100).default(24),
  /** What a logit counts beside the fused score. */
  MEMSEAL_RERANK_WEIGHT: z.coerce.number().min(0).max(10).default(0.5),
  /** How long a request may take to arrive, its body included: longer than any deadline. */
  MEMSEAL_HTTP_RECEIVE_TIMEOUT_MS: z.coerce.number().int().min(1_000).max(600_000).default(60_000),
  /** Whose pages may call from a browser. None: no page may. */
  MEMSEAL_CORS_ORIGINS: origins.optional(),
  MEMSEAL_TRACK: track,
});

export type GatewayConfig = z.infer<typeof gatewayConfig>;
