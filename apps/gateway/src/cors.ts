import type { FastifyAdapter } from "@nestjs/platform-fastify";
import { ANSWER_HEADERS, REQUEST_HEADERS } from "./openapi/headers.js";

/** How long a browser may remember what it was allowed, in seconds. */
const MAX_AGE_S = 600;

/** What pages of these origins may do: everything that a key can. Cookies are never sent along: a page has to hold a key. */
export function corsFor(origins: readonly string[]): Parameters<FastifyAdapter["enableCors"]>[0] {
  return {
    origin: [...origins],
    credentials: false,
    methods: ["GET", "POST", "PATCH", "DELETE"],
    allowedHeaders: ["authorization", "content-type", ...REQUEST_HEADERS.map(({ name }) => name.toLowerCase())],
    exposedHeaders: Object.keys(ANSWER_HEADERS),
    maxAge: MAX_AGE_S,
    strictPreflight: false,
  };
}
