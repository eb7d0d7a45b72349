import { REPLAYED_KEY, REQUEST_ID_KEY } from "@memseal/transport";
import { FAILED_AUTH, RATE_CLASSES } from "../rates.js";
import type { Parameter, Schema } from "./schema.js";

export const TIMEOUT: Parameter = {
  name: "Request-Timeout-Ms",
  description: "How long the caller waits; the deadline of every hop. Default 10 s, at most 30 s.",
  schema: { type: "string", pattern: "^\\d{1,9}$" },
};
export const REQUEST_ID: Parameter = {
  name: REQUEST_ID_KEY,
  description: "The caller's id of this request; anything else than a short plain name is replaced.",
  schema: { type: "string", maxLength: 64 },
};
export const IDEMPOTENCY_KEY: Parameter = {
  name: "Idempotency-Key",
  description: "Names this request: the same one again within 24 h is answered as the first was and marked `idempotent-replayed: true`; another one under the same key is refused (409).",
  schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
};
export const IF_MATCH: Parameter = {
  name: "If-Match",
  description: "The version the caller has read; any other is refused (412).",
  schema: { type: "string", pattern: '^("\\d{1,10}"|\\d{1,10})$' },
};

export const REQUEST_HEADERS: readonly Parameter[] = [TIMEOUT, REQUEST_ID, IDEMPOTENCY_KEY, IF_MATCH];

interface AnswerHeader {
  description: string;
  schema: Schema;
}

const header = (description: string, schema: Schema): AnswerHeader => ({ description, schema });

const KIND = `"(${[...RATE_CLASSES, FAILED_AUTH].join("|")})"`;

/** By name, in lower case. */
export const ANSWER_HEADERS = {
  [REQUEST_ID_KEY]: header("Id of this request, as in logs.", { type: "string" }),
  [REPLAYED_KEY]: header("`true` where this is the answer to an earlier request of the same Idempotency-Key.", { const: "true" }),
  etag: header("The memory's version, for If-Match.", { type: "string" }),
  "retry-after": header("Seconds after which trying again makes sense.", { type: "string", pattern: "^\\d+$" }),
  "www-authenticate": header("How to authenticate.", { const: "Bearer" }),
  "ratelimit-policy": header("The tighter of the credential's and the user's rate: which, how many requests `q` in `w` seconds.", { type: "string", pattern: `^${KIND};q=\\d+;w=\\d+$` }),
  ratelimit: header("Where that rate stands: `r` requests are left, and after `t` seconds all of them are.", { type: "string", pattern: `^${KIND};r=\\d+;t=\\d+$` }),
} satisfies Record<string, AnswerHeader>;
export type AnswerHeaderName = keyof typeof ANSWER_HEADERS;
