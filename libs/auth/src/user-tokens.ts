import { createPublicKey, type KeyObject } from "node:crypto";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import { UnauthenticatedError } from "@memseal/errors";
import { decodeProtectedHeader, jwtVerify, SignJWT, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import { keyIdOf, loadSigningKey, loadVerifyingKeys } from "./ed25519-keys.js";
import { USER_SCOPES, type UserScope } from "./scopes.js";

/** What makes a token no assertion and no issuer's JWT, besides its audience. */
const TYP = "memseal-token+jwt";
const ISSUER = "memseal";
const AUDIENCE = "memseal.v1";
/** The longest lifetime that is signed or accepted. */
const MAX_LIFETIME_S = 900;
/** How far the clocks of two gateways may be apart. */
const CLOCK_TOLERANCE_S = 5;

export interface UserTokenClaims {
  tenant: UserHash;
  /** That of the delegate key it was exchanged for. */
  namespace: string;
  scopes: readonly UserScope[];
  /** Public id of that key. */
  keyId: string;
}

const claimsSchema = z.object({
  tenant: z.string(),
  namespace: z.string().min(1),
  scopes: z.array(z.enum(USER_SCOPES)).min(1),
  key_id: z.string().min(1).max(64),
  iat: z.int(),
  exp: z.int(),
});

/**
 * Tokens for one user, which a delegate key is exchanged for: JWTs (Ed25519) under the gateways' assertion keys. They hold
 * the user hash, never the user id. Any gateway that has the signer's public key takes them; none asks anybody.
 */
export class UserTokens {
  readonly #key: KeyObject;
  readonly #kid: string;
  readonly #known: ReadonlyMap<string, KeyObject>;

  private constructor(key: KeyObject, others: ReadonlyMap<string, KeyObject>) {
    const publicKey = createPublicKey(key);
    this.#key = key;
    this.#kid = keyIdOf(publicKey);
    this.#known = new Map([...others, [this.#kid, publicKey]]);
  }

  /**
   * publicKeyFiles: of the other gateways whose tokens count, and of the key before during a rotation.
   * @throws StartupError when a file is not an Ed25519 key in PEM, or a private one where a public one belongs
   */
  static load(privateKeyFile: string, publicKeyFiles: readonly string[] = []): UserTokens {
    return new UserTokens(loadSigningKey(privateKeyFile), loadVerifyingKeys(publicKeyFiles));
  }

  /** Whether a JWT says that it is one of these. */
  static claims(token: string): boolean {
    try {
      return decodeProtectedHeader(token).typ === TYP;
    } catch {
      return false;
    }
  }

  /** ttlS: 1 to 900. */
  async sign({ tenant, namespace, scopes, keyId }: UserTokenClaims, ttlS: number): Promise<{ token: string; expiresAt: Date }> {
    if (!(ttlS >= 1 && ttlS <= MAX_LIFETIME_S)) throw new RangeError(`a token lives 1 to ${MAX_LIFETIME_S} s`);
    const issuedAt = Math.floor(Date.now() / 1_000);
    const token = await new SignJWT({ tenant, namespace, scopes: [...scopes], key_id: keyId })
      .setProtectedHeader({ alg: "EdDSA", kid: this.#kid, typ: TYP })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ttlS)
      .sign(this.#key);
    return { token, expiresAt: new Date((issuedAt + ttlS) * 1_000) };
  }

  /** @throws UnauthenticatedError on any fault, without saying which */
  async verify(token: string): Promise<UserTokenClaims> {
    try {
      const { payload } = await jwtVerify(token, this.#findKey, {
        algorithms: ["EdDSA"],
        typ: TYP,
        issuer: ISSUER,
        audience: AUDIENCE,
        requiredClaims: ["exp", "iat"],
        // Refuses an iat in the future, too.
        maxTokenAge: MAX_LIFETIME_S,
        clockTolerance: CLOCK_TOLERANCE_S,
      });
      const { tenant, namespace, scopes, key_id: keyId, iat, exp } = claimsSchema.parse(payload);
      if (exp - iat > MAX_LIFETIME_S) throw new UnauthenticatedError();
      return { tenant: parseUserHash(tenant), namespace, scopes, keyId };
    } catch {
      throw new UnauthenticatedError("the token is expired or not of this installation: exchange the delegate key for a new one");
    }
  }

  readonly #findKey: JWTVerifyGetKey = ({ kid }) => {
    const key = this.#known.get(kid ?? "");
    if (key === undefined) throw new UnauthenticatedError();
    return key;
  };
}
