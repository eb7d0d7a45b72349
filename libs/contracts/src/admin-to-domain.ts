import { InvalidArgumentError } from "@memseal/errors";
import { bounded, inRange, parseUserId, type ClaimedUser } from "./bounds.js";
import { elementPath } from "./field-path.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { parsePage, type Page } from "./selection-to-domain.js";
import { boundedText } from "./text.js";

/** A token acts for its user; handing out more tokens is not among what it may do. */
const TOKEN_SCOPES = ["read", "write", "admin"] as const;
export type TokenScope = (typeof TOKEN_SCOPES)[number];

export interface TokenRequest {
  readonly userId: string;
  /** Each once. */
  readonly scopes: readonly TokenScope[];
  readonly ttlS: number;
}

/** @throws InvalidArgumentError with the path of the fault, as all parsers here */
export function parseCreateToken({ userId, scopes, ttlS }: wire.CreateTokenRequest): TokenRequest {
  return Object.freeze({
    userId: boundedText(userId, "user_id", LIMITS.userIdCharacters),
    scopes: Object.freeze([...new Set(bounded(scopes, "scopes", 1, TOKEN_SCOPES.length).map(parseScope))]),
    ttlS: inRange(ttlS, "ttl_s", LIMITS.tokenTtlS),
  });
}

export function parseListAudit(message: wire.ListAuditRequest): Page {
  return Object.freeze(parsePage(message));
}

export function parseErase({ userId }: wire.EraseRequest): ClaimedUser {
  return Object.freeze({ userId: parseUserId(userId) });
}

function parseScope(scope: string, at: number): TokenScope {
  const known = TOKEN_SCOPES.find((one) => one === scope);
  if (known === undefined) throw new InvalidArgumentError(elementPath("scopes", at), `must be one of ${TOKEN_SCOPES.join(", ")}`);
  return known;
}
