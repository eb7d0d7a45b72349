import { AppError, UnauthenticatedError, UnavailableError } from "@memseal/errors";
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose";
import type { Issuer, IssuerKeys } from "./issuers.js";
import type { UserScope } from "./scopes.js";

/** Signatures alone: with an HMAC, whoever can verify can sign. Source: RFC 8725, 3.1. */
const ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** Headers by which a token would bring its own key. */
const KEY_HEADERS = ["jku", "jwk", "x5u", "x5c"] as const;
const MAX_TOKEN_CHARACTERS = 8_192;
/** How far the clocks of issuer and gateway may be apart. */
const CLOCK_TOLERANCE_S = 5;
/** How long a key set is waited for; used before it is fetched again; and left alone whatever key ids callers name. */
const FETCH_TIMEOUT_MS = 2_000;
const KEYS_FRESH_MS = 600_000;
const FETCH_COOLDOWN_MS = 30_000;
/** When a caller may try again that met an issuer who is away. */
const RETRY_AFTER_S = 5;

/** Whom a JWT is for. */
export interface JwtUser {
  readonly namespace: string;
  readonly userId: string;
  /** Those of the token that its issuer may give. */
  readonly scopes: readonly UserScope[];
}

interface KnownIssuer extends Issuer {
  readonly findKey: JWTVerifyGetKey;
}

/** Verifies JWTs of the configured issuers, each with its own keys, audience and namespace. */
export class JwtVerifier {
  readonly #issuers: readonly KnownIssuer[];

  constructor(issuers: readonly Issuer[]) {
    this.#issuers = issuers.map((issuer) => ({ ...issuer, findKey: keyFinder(issuer.keys) }));
  }

  /** @throws UnauthenticatedError on any fault of the token, without saying which; UnavailableError while its issuer's keys cannot be fetched */
  async verify(token: string): Promise<JwtUser> {
    try {
      return await this.#verify(token);
    } catch (error) {
      if (error instanceof AppError && error.code === "unavailable") throw error;
      throw new UnauthenticatedError("the token is expired, or not signed by a known issuer for this service");
    }
  }

  async #verify(token: string): Promise<JwtUser> {
    if (token.length > MAX_TOKEN_CHARACTERS) throw new UnauthenticatedError();
    const header = decodeProtectedHeader(token);
    if (KEY_HEADERS.some((name) => header[name] !== undefined)) throw new UnauthenticatedError();
    // Unverified: it says only which issuer's keys must verify it.
    const { iss, aud } = decodeJwt(token);
    const audiences = Array.isArray(aud) ? aud : [aud];
    const issuer = this.#issuers.find((one) => one.issuer === iss && audiences.includes(one.audience));
    if (issuer === undefined) throw new UnauthenticatedError();
    const { payload } = await jwtVerify(token, issuer.findKey, {
      algorithms: ALGORITHMS,
      issuer: issuer.issuer,
      audience: issuer.audience,
      requiredClaims: ["exp"],
      clockTolerance: CLOCK_TOLERANCE_S,
    });
    return { namespace: issuer.namespace, userId: userIdIn(payload, issuer.userClaim), scopes: scopesIn(payload, issuer) };
  }
}

function userIdIn(payload: JWTPayload, claim: string): string {
  const userId = payload[claim];
  if (typeof userId !== "string" || userId === "" || userId.includes("\0") || !userId.isWellFormed()) throw new UnauthenticatedError();
  return userId;
}

/** The claim is a list, or one text with spaces (RFC 8693, 4.2). Without it a token may do nothing. */
function scopesIn(payload: JWTPayload, { scopeClaim, scopePrefix, maxScopes }: Issuer): UserScope[] {
  const claim = payload[scopeClaim];
  const given: unknown[] = typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : [];
  return maxScopes.filter((scope) => given.includes(scopePrefix + scope));
}

/** A key id is looked up among the issuer's keys, and nowhere else. */
function keyFinder(keys: IssuerKeys): JWTVerifyGetKey {
  switch (keys.kind) {
    case "key":
      return () => keys.key;
    case "set":
      return createLocalJWKSet(keys.set);
    case "url": {
      const remote = createRemoteJWKSet(keys.url, { timeoutDuration: FETCH_TIMEOUT_MS, cacheMaxAge: KEYS_FRESH_MS, cooldownDuration: FETCH_COOLDOWN_MS });
      return async (header, token) => {
        try {
          return await remote(header, token);
        } catch (error) {
          if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys || error instanceof errors.JOSENotSupported) throw error;
          throw new UnavailableError("the keys of this token's issuer cannot be fetched; try again", { retryAfterS: RETRY_AFTER_S, cause: error });
        }
      };
    }
  }
}
