import { hashApiKeySecret, isApiKey, parseApiKey, UserTokens, type JwtVerifier, type Scope } from "@memseal/auth";
import { codePointLength, LIMITS } from "@memseal/contracts";
import { parseUserHash, userHash, type SecretBytes } from "@memseal/crypto";
import { AppError, PermissionDeniedError, UnauthenticatedError } from "@memseal/errors";
import { SingleFlight, Turns } from "@memseal/resilience";
import { LRUCache } from "lru-cache";
import type { Call, Caller, Credential, Delegate } from "./call.js";
import type { IndexerClient } from "./indexer-client.js";

/** How long a key may be trusted without asking again; a revoked key works no longer than this. */
const CACHE_MS = 30_000;
const CACHED_KEYS = 10_000;
/** Look-ups of one address under way at once: so many of its guesses at most are not yet known to fail when it has failed too often. */
const LOOKUPS_AT_ONCE = 100;
/** The longest that any caller waits, and a little for those who join late. */
const LOOKUP_MS = 32_000;

export interface AuthenticatorParts {
  indexer: Pick<IndexerClient, "resolveKey">;
  pepper: SecretBytes;
  tenantSecret: SecretBytes;
  userTokens: Pick<UserTokens, "verify">;
  jwts: Pick<JwtVerifier, "verify">;
}

/** Who shows a credential. */
export interface Asker {
  /** Where it is, without a port. */
  address: string;
  /** May throw before the indexer is asked about a key. */
  beforeAsking: () => void;
}

/** From what a caller shows to what it stands for. Only API keys that were found are remembered; all else is verified each time. */
export class Authenticator {
  readonly #keys: LRUCache<string, Credential>;
  readonly #lookups: SingleFlight<Credential>;
  readonly #turns = new Turns(LOOKUPS_AT_ONCE);

  /** now: milliseconds that only go forward. */
  constructor(private readonly parts: AuthenticatorParts, now: () => number = () => performance.now()) {
    this.#keys = new LRUCache({ max: CACHED_KEYS, ttl: CACHE_MS, ttlResolution: 0, perf: { now } });
    this.#lookups = new SingleFlight(now);
  }

  /**
   * authorization: every such header or metadata value.
   * @throws UnauthenticatedError without exactly one valid credential; PermissionDeniedError for a key that is bound to no user and no delegate
   */
  async authenticate(call: Call, authorization: readonly string[], asker: Asker): Promise<Credential> {
    const shown = bearerOf(authorization);
    if (isApiKey(shown)) return this.#byKey(call, shown, asker);
    if (UserTokens.claims(shown)) {
      const { tenant, namespace, scopes, keyId } = await this.parts.userTokens.verify(shown);
      return { tenant, namespace, scopes, actor: `token of api-key ${keyId}` };
    }
    const { namespace, userId, scopes } = await this.parts.jwts.verify(shown);
    // A longer one no request could name.
    if (codePointLength(userId) > LIMITS.userIdCharacters) throw new UnauthenticatedError(`the user id in the token has more than ${LIMITS.userIdCharacters} characters`);
    return { tenant: userHash(this.parts.tenantSecret, userId, namespace), namespace, scopes, actor: `jwt of ${namespace}` };
  }

  /** However many show a key at once that is not known yet, the indexer is asked once. */
  async #byKey(call: Call, shown: string, { address, beforeAsking }: Asker): Promise<Credential> {
    const { keyId, secret } = parseApiKey(shown);
    const secretHash = hashApiKeySecret(this.parts.pepper, secret);
    const cacheKey = `${keyId}:${secretHash.toString("hex")}`;
    return this.#keys.get(cacheKey) ?? this.#turns.take(address, async () => {
      // Found, or failed too often, while it waited for its turn.
      const known = this.#keys.get(cacheKey);
      if (known !== undefined) return known;
      beforeAsking();
      return this.#lookups.run(cacheKey, call.signal, async (signal) => {
        const credential = await this.#resolve({ requestId: call.requestId, deadlineMs: Date.now() + LOOKUP_MS, signal }, keyId, secretHash);
        this.#keys.set(cacheKey, credential);
        return credential;
      });
    });
  }

  async #resolve(call: Call, keyId: string, secretHash: Buffer): Promise<Credential> {
    try {
      const { userHash: tenant, namespace, scopes } = await this.parts.indexer.resolveKey(call, { keyId, secretHash });
      const actor = `api-key ${keyId}`;
      if (tenant !== undefined) return { tenant: parseUserHash(tenant.toString("hex")), namespace, actor, scopes };
      if (!scopes.includes("delegate")) throw new PermissionDeniedError("this key is bound to no user and cannot act for one");
      return { tenant: undefined, namespace, actor, scopes, keyId };
    } catch (error) {
      if (error instanceof AppError && error.code === "not_found") throw new UnauthenticatedError();
      throw error;
    }
  }
}

/** @throws PermissionDeniedError for a delegate, which reads and writes nothing itself */
export function requireUser(credential: Credential): Caller {
  if (credential.tenant === undefined) throw new PermissionDeniedError("a delegate key acts for no user itself: exchange it with POST /v1/tokens (gRPC CreateToken) and send the token");
  return credential;
}

/** @throws PermissionDeniedError for a credential of a user, which makes no tokens */
export function requireDelegate(credential: Credential): Delegate {
  if (credential.tenant !== undefined) throw new PermissionDeniedError("tokens are made with a delegate key: this credential stands for a user");
  return credential;
}

/** @throws PermissionDeniedError */
export function requireScope({ scopes }: Caller, scope: Scope): void {
  if (!scopes.includes(scope)) throw new PermissionDeniedError(`this credential lacks the scope ${scope}`);
}

export interface OwnUserParts {
  tenantSecret: SecretBytes;
  /** Told of each request that named another user. */
  onForeignUser: () => void;
}

/** A user named in a request changes nothing: it must be the credential's own. @throws PermissionDeniedError */
export function requireOwnUser({ tenant, namespace }: Caller, userId: string | undefined, { tenantSecret, onForeignUser }: OwnUserParts): void {
  if (userId !== undefined && userHash(tenantSecret, userId, namespace) !== tenant) {
    onForeignUser();
    throw new PermissionDeniedError("user_id is not the user of this credential; leave it out");
  }
}

function bearerOf(authorization: readonly string[]): string {
  const [only, ...more] = authorization;
  // Whoever stands between might have looked at the other one.
  if (more.length > 0) throw new UnauthenticatedError("send exactly one Authorization");
  const [, shown] = /^Bearer +(\S+)$/i.exec(only ?? "") ?? [];
  if (shown === undefined) throw new UnauthenticatedError();
  return shown;
}
