import { createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { StartupError } from "@memseal/errors";
import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { PRIVATE_PEM } from "./ed25519-keys.js";
import { USER_SCOPES, type UserScope } from "./scopes.js";

const MIN_RSA_BITS = 2_048;
const KEY_TYPES = ["ed25519", "ec", "rsa"];
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

const url = z.url({ protocol: /^https?$/ }).refine(
  (text) => { const { protocol, hostname } = new URL(text); return protocol === "https:" || LOOPBACK.includes(hostname); },
  "must be https, but for a loopback address",
);
const namespace = z.string().min(1).max(200).regex(/^[\x21-\x7e]+$/, "must be visible ASCII");

const issuerSchema = z
  .strictObject({
    issuer: z.string().min(1),
    audience: z.string().min(1),
    jwks_url: url.optional(),
    public_key_file: z.string().min(1).optional(),
    namespace,
    /** Of issuers that name the same users in the same way. */
    shares_namespace: z.boolean().default(false),
    user_claim: z.string().min(1).default("sub"),
    scope_claim: z.string().min(1).default("scope"),
    scope_prefix: z.string().default(""),
    max_scopes: z.array(z.enum(USER_SCOPES)).min(1),
  })
  .refine((one) => (one.jwks_url === undefined) !== (one.public_key_file === undefined), "needs exactly one of jwks_url and public_key_file");

const fileSchema = z.strictObject({ issuers: z.array(issuerSchema).min(1) });

/** Where an issuer's public keys are. */
export type IssuerKeys = { readonly kind: "url"; readonly url: URL } | { readonly kind: "key"; readonly key: KeyObject } | { readonly kind: "set"; readonly set: JSONWebKeySet };

/** Whose JWTs are taken, and for what. */
export interface Issuer {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: IssuerKeys;
  readonly namespace: string;
  readonly userClaim: string;
  readonly scopeClaim: string;
  /** What stands before `read` in the claim, such as `memseal:`. */
  readonly scopePrefix: string;
  /** What its tokens may do at most. */
  readonly maxScopes: readonly UserScope[];
}

/**
 * The issuers of a JSON file. Files of keys are beside it unless their paths are absolute.
 * @throws StartupError with every fault of its form at once, or the first of its sense
 */
export function loadIssuers(file: string): readonly Issuer[] {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new StartupError(`issuers file ${file} cannot be read as JSON`, { cause: error });
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `  ${path.join(".") || "the file"}: ${message}`);
    throw new StartupError(`issuers file ${file} is not usable:\n${faults.join("\n")}`);
  }
  const { issuers } = parsed.data;
  for (const [i, one] of issuers.entries()) {
    for (const [j, other] of issuers.slice(0, i).entries()) {
      if (one.issuer === other.issuer && one.audience === other.audience) throw new StartupError(`issuers file ${file}: issuers.${i} has issuer and audience of issuers.${j}`);
      if (one.namespace === other.namespace && !(one.shares_namespace && other.shares_namespace)) {
        throw new StartupError(`issuers file ${file}: issuers.${i} and issuers.${j} share a namespace, where equal user ids are one user: give them two, or set shares_namespace on both`);
      }
    }
  }
  return issuers.map((one) => ({
    issuer: one.issuer,
    audience: one.audience,
    keys: one.jwks_url === undefined ? loadKeys(resolve(dirname(file), one.public_key_file ?? "")) : { kind: "url", url: new URL(one.jwks_url) },
    namespace: one.namespace,
    userClaim: one.user_claim,
    scopeClaim: one.scope_claim,
    scopePrefix: one.scope_prefix,
    maxScopes: one.max_scopes,
  }));
}

/** One public key in PEM, or a JWK set. */
function loadKeys(file: string): IssuerKeys {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new StartupError(`public key file ${file} cannot be read`, { cause: error });
  }
  if (PRIVATE_PEM.test(text)) throw new StartupError(`public key file ${file} holds a private key, which belongs to the issuer alone`);
  if (!text.trimStart().startsWith("{")) return { kind: "key", key: asPublicKey(text, file) };
  const set = jwkSetOf(text, file);
  for (const jwk of set.keys) {
    if (jwk.d !== undefined || jwk.k !== undefined) throw new StartupError(`public key file ${file} holds a private or symmetric key`);
    asPublicKey({ key: jwk, format: "jwk" }, file);
  }
  return { kind: "set", set };
}

function jwkSetOf(text: string, file: string): JSONWebKeySet {
  const schema = z.object({ keys: z.array(z.looseObject({ kty: z.string(), d: z.unknown().optional(), k: z.unknown().optional() })).min(1) });
  try {
    return schema.parse(JSON.parse(text)) as JSONWebKeySet;
  } catch (error) {
    throw new StartupError(`public key file ${file} is neither PEM nor a JWK set`, { cause: error });
  }
}

function asPublicKey(source: Parameters<typeof createPublicKey>[0], file: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey(source);
  } catch (error) {
    throw new StartupError(`public key file ${file} holds a key that cannot be read`, { cause: error });
  }
  if (!KEY_TYPES.includes(key.asymmetricKeyType ?? "")) throw new StartupError(`public key file ${file} must hold Ed25519, EC or RSA keys`);
  if (key.asymmetricKeyType === "rsa" && (key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS) throw new StartupError(`public key file ${file} holds an RSA key of less than ${MIN_RSA_BITS} bits`);
  return key;
}
