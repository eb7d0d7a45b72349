import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import { UnauthenticatedError } from "@memseal/errors";
import { jwtVerify, SignJWT, type JWTVerifyGetKey } from "jose";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { keyIdOf, loadSigningKey, loadVerifyingKeys } from "./ed25519-keys.js";

/** The gRPC metadata key that carries an assertion. */
export const ASSERTION_KEY = "memseal-assertion";
const AUDIENCE = "memseal.indexer.v1";
const LIFETIME_S = 30;
/** How long an assertion is used for calls of the same kind: the rest of its life is for the call and the clocks. */
const REUSED_S = 10;
/** Callers of which signer and verifier each remember an assertion: signing and verifying cost more than the rest of a small call. */
const REMEMBERED = 10_000;
/** The longest lifetime, and the greatest age, that a verifier accepts, whatever the signer wrote. */
const MAX_LIFETIME_S = 60;
/** How far the clocks of gateway and indexer may be apart. */
const CLOCK_TOLERANCE_S = 5;

/** Which calls an assertion allows. */
export const METHOD_CLASSES = ["read", "write", "admin", "delegate"] as const;
export type MethodClass = (typeof METHOD_CLASSES)[number];

export interface TenantClaims {
  tenant: UserHash;
  /** Who acts for the tenant, such as `api-key 3f9a`: for the audit trail. */
  actor: string;
  scopes: readonly string[];
  method: MethodClass;
}

const claimsSchema = z.object({
  tenant: z.string(),
  actor: z.string().min(1).max(256),
  scopes: z.array(z.string()),
  method: z.enum(METHOD_CLASSES),
  iat: z.int(),
  exp: z.int(),
});

type Claims = z.infer<typeof claimsSchema>;

/** The gateway's side: signs who the tenant of a call is (Ed25519, a JWT of 30 s, used for 10). */
export class AssertionSigner {
  readonly #key: KeyObject;
  readonly #kid: string;
  readonly #signed = new LRUCache<string, string>({ max: REMEMBERED, ttl: REUSED_S * 1_000 });

  private constructor(key: KeyObject) {
    this.#key = key;
    this.#kid = keyIdOf(createPublicKey(key));
  }

  /** @throws StartupError unless the file holds an Ed25519 private key in PEM */
  static load(privateKeyFile: string): AssertionSigner {
    return new AssertionSigner(loadSigningKey(privateKeyFile));
  }

  async sign({ tenant, actor, scopes, method }: TenantClaims): Promise<string> {
    const name = JSON.stringify([tenant, actor, scopes, method]);
    const known = this.#signed.get(name);
    if (known !== undefined) return known;
    const signed = await this.#sign({ tenant, actor, scopes, method });
    this.#signed.set(name, signed);
    return signed;
  }

  #sign({ tenant, actor, scopes, method }: TenantClaims): Promise<string> {
    return new SignJWT({ tenant, actor, scopes: [...scopes], method })
      .setProtectedHeader({ alg: "EdDSA", kid: this.#kid })
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .setExpirationTime(`${LIFETIME_S} s`)
      .sign(this.#key);
  }
}

/** The indexer's side: holds public keys by id, two during a rotation. */
export class AssertionVerifier {
  readonly #keys: ReadonlyMap<string, KeyObject>;
  /** Those that were found good, for as long as they would be again. */
  readonly #verified = new LRUCache<string, Claims>({ max: REMEMBERED });

  private constructor(keys: ReadonlyMap<string, KeyObject>) {
    this.#keys = keys;
  }

  /** @throws StartupError unless every file holds an Ed25519 public key in PEM, and no private one */
  static load(publicKeyFiles: readonly string[]): AssertionVerifier {
    return new AssertionVerifier(loadVerifyingKeys(publicKeyFiles));
  }

  /** @throws UnauthenticatedError on any fault, without saying which */
  async verify(assertion: string | undefined, method: MethodClass): Promise<TenantClaims> {
    try {
      const claims = this.#verified.get(assertion ?? "") ?? (await this.#verify(assertion ?? ""));
      if (claims.method !== method) throw new UnauthenticatedError();
      return { tenant: parseUserHash(claims.tenant), actor: claims.actor, scopes: claims.scopes, method };
    } catch {
      throw new UnauthenticatedError("the tenant assertion is missing, expired or not signed by a known gateway for this call");
    }
  }

  async #verify(assertion: string): Promise<Claims> {
    const { payload } = await jwtVerify(assertion, this.#findKey, {
      algorithms: ["EdDSA"],
      audience: AUDIENCE,
      requiredClaims: ["exp", "iat"],
      // Refuses an iat in the future, too: lifetime alone would let one signed for next year wait until then.
      maxTokenAge: MAX_LIFETIME_S,
      clockTolerance: CLOCK_TOLERANCE_S,
    });
    const claims = claimsSchema.parse(payload);
    if (claims.exp - claims.iat > MAX_LIFETIME_S) throw new UnauthenticatedError();
    const leftMs = (claims.exp + CLOCK_TOLERANCE_S) * 1_000 - Date.now();
    if (leftMs > 0) this.#verified.set(assertion, claims, { ttl: leftMs });
    return claims;
  }

  readonly #findKey: JWTVerifyGetKey = ({ kid }) => {
    const key = this.#keys.get(kid ?? "");
    if (key === undefined) throw new UnauthenticatedError();
    return key;
  };
}

/** A new Ed25519 pair as PEM. */
export function generateAssertionKeys(): { privateKey: string; publicKey: string } {
  return generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
}
