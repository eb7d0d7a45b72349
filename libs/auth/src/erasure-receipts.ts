import { createPublicKey, type KeyObject } from "node:crypto";
import type { UserHash } from "@memseal/crypto";
import { UnauthenticatedError } from "@memseal/errors";
import { createLocalJWKSet, exportJWK, jwtVerify, SignJWT, type JSONWebKeySet } from "jose";
import { keyIdOf, loadSigningKey, loadVerifyingKeys } from "./ed25519-keys.js";

/** What makes a receipt no token and no assertion, besides its key. */
const TYP = "memseal-erasure+jwt";
const ISSUER = "memseal";

/** What a receipt says, times as RFC 3339. */
export interface ErasureClaims {
  /** Of the erasure. */
  id: string;
  tenant: UserHash;
  erasedAt: string;
  memories: number;
  bytes: number;
  rootKeys: readonly { id: string; version?: number | undefined; destroyedAt?: string | undefined }[];
  /** Absent while a version that may have wrapped the user's keys is not destroyed. */
  backupsUnreadableAt?: string | undefined;
}

/** Signs receipts of erasures (Ed25519, a JWT without an end), under a key of their own: who signs for callers cannot make one. */
export class ReceiptSigner {
  readonly #key: KeyObject;
  readonly #kid: string;

  private constructor(key: KeyObject) {
    this.#key = key;
    this.#kid = keyIdOf(createPublicKey(key));
  }

  /** @throws StartupError unless the file holds an Ed25519 private key in PEM */
  static load(privateKeyFile: string): ReceiptSigner {
    return new ReceiptSigner(loadSigningKey(privateKeyFile, "receipt"));
  }

  /** The same claims give the same receipt. */
  sign({ id, tenant, erasedAt, memories, bytes, rootKeys, backupsUnreadableAt }: ErasureClaims): Promise<string> {
    return new SignJWT({
      erased_at: erasedAt,
      erased: { memories, bytes },
      root_keys: rootKeys.map((root) => ({ id: root.id, version: root.version, destroyed_at: root.destroyedAt })),
      backups_unreadable_at: backupsUnreadableAt ?? null,
    })
      .setProtectedHeader({ alg: "EdDSA", kid: this.#kid, typ: TYP })
      .setIssuer(ISSUER)
      .setSubject(tenant)
      .setJti(id)
      .sign(this.#key);
  }
}

/** Public keys that receipts are verified with, as RFC 7517 has them. @throws StartupError unless every file holds an Ed25519 public key in PEM, and no private one */
export async function receiptKeySet(publicKeyFiles: readonly string[]): Promise<JSONWebKeySet> {
  const keys = [...loadVerifyingKeys(publicKeyFiles, "receipt")];
  return { keys: await Promise.all(keys.map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid, alg: "EdDSA", use: "sig" }))) };
}

/**
 * What a receipt says, once its signature is known to be of one of these keys, and the receipt that of this tenant.
 * @throws UnauthenticatedError on any fault, without saying which
 */
export async function verifyReceipt(signed: string, keys: JSONWebKeySet, tenant: UserHash): Promise<Record<string, unknown>> {
  try {
    const { payload } = await jwtVerify(signed, createLocalJWKSet(keys), { algorithms: ["EdDSA"], typ: TYP, issuer: ISSUER, subject: tenant, requiredClaims: ["jti"] });
    return payload;
  } catch {
    throw new UnauthenticatedError("this is no receipt of this installation for this user");
  }
}
