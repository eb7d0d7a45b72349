import { hashApiKeySecret, parseApiKey, type Scope } from "@memseal/auth";
import { parseUserHash, userHash, type SecretBytes } from "@memseal/crypto";
import { AppError, PermissionDeniedError, UnauthenticatedError } from "@memseal/errors";
import { LRUCache } from "lru-cache";
import type { Call, Caller } from "./call.js";
import type { IndexerClient } from "./indexer-client.js";

/** How long a key may be trusted without asking again; a revoked key works no longer than this. */
const CACHE_MS = 30_000;
const CACHED_KEYS = 10_000;

/** From a credential to the caller it stands for. Only keys that were found are remembered. */
export class Authenticator {
  readonly #callers = new LRUCache<string, Caller>({ max: CACHED_KEYS, ttl: CACHE_MS });

  constructor(
    private readonly indexer: Pick<IndexerClient, "resolveKey">,
    private readonly pepper: SecretBytes,
  ) {}

  /** @throws UnauthenticatedError without a valid key; PermissionDeniedError for one that is bound to no user */
  async authenticate(call: Call, authorization: string | undefined): Promise<Caller> {
    const { keyId, secret } = parseApiKey(bearerOf(authorization));
    const secretHash = hashApiKeySecret(this.pepper, secret);
    const cacheKey = `${keyId}:${secretHash.toString("hex")}`;
    const known = this.#callers.get(cacheKey);
    if (known !== undefined) return known;
    const caller = await this.#resolve(call, keyId, secretHash);
    this.#callers.set(cacheKey, caller);
    return caller;
  }

  async #resolve(call: Call, keyId: string, secretHash: Buffer): Promise<Caller> {
    try {
      const { userHash: tenant, scopes } = await this.indexer.resolveKey(call, { keyId, secretHash });
      if (tenant === undefined) throw new PermissionDeniedError("this key is bound to no user and cannot act for one");
      return { tenant: parseUserHash(tenant.toString("hex")), actor: `api-key ${keyId}`, scopes };
    } catch (error) {
      if (error instanceof AppError && error.code === "not_found") throw new UnauthenticatedError();
      throw error;
    }
  }
}

/** @throws PermissionDeniedError */
export function requireScope({ scopes }: Caller, scope: Scope): void {
  if (!scopes.includes(scope)) throw new PermissionDeniedError(`this key lacks the scope ${scope}`);
}

export interface OwnUserParts {
  tenantSecret: SecretBytes;
  /** Told of each request that named another user. */
  onForeignUser: () => void;
}

/** A user named in a request changes nothing: it must be the credential's own. @throws PermissionDeniedError */
export function requireOwnUser({ tenant }: Caller, userId: string | undefined, { tenantSecret, onForeignUser }: OwnUserParts): void {
  if (userId !== undefined && userHash(tenantSecret, userId) !== tenant) {
    onForeignUser();
    throw new PermissionDeniedError("user_id is not the user of this key; leave it out");
  }
}

function bearerOf(authorization: string | undefined): string {
  const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? "") ?? [];
  if (token === undefined) throw new UnauthenticatedError();
  return token;
}
