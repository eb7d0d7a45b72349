import { join } from "node:path";
import { formatApiKey, generateApiKey, hashApiKeySecret, type Scope } from "@memseal/auth";
import { parseConfig } from "@memseal/config";
import { DEFAULT_NAMESPACE, userHash } from "@memseal/crypto";
import { InvalidArgumentError, NotFoundError } from "@memseal/errors";
import { loadSecret, SECRET_FILES } from "@memseal/keys";
import { createApiKey, listApiKeys, revokeApiKey, type ListedApiKey } from "@memseal/storage";
import type { CommandResult } from "./command.js";
import { cliConfig, ownerUrl } from "./config.js";

/** Scopes that a key may be given by name; `delegate` goes with a key that is bound to no user. */
const GIVEN_SCOPES: readonly Scope[] = ["read", "write", "admin"];
const DEFAULT_SCOPES = "read,write";
/** How long a gateway may trust a key that it has asked about. */
const TRUSTED_S = 30;
const DAY_MS = 86_400_000;

export interface KeyRequest {
  /** The one user it is bound to; absent for a delegate key. */
  user?: string | undefined;
  /** Whether it is exchanged for tokens of any user of its namespace. */
  delegate?: boolean | undefined;
  namespace?: string | undefined;
  /** Comma-separated. */
  scopes?: string | undefined;
  days?: string | undefined;
}

/**
 * `memseal keys create`: makes a key as the database's owner. It is shown this once: only a hash of its secret and of
 * the user's id is kept.
 */
export async function createKey({ user, delegate = false, namespace = DEFAULT_NAMESPACE, scopes, days }: KeyRequest, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  if (delegate === (user !== undefined)) throw new InvalidArgumentError("--user", "must be given, or --delegate in its place");
  const given = parseScopes(scopes ?? DEFAULT_SCOPES);
  const expiresAt = days === undefined ? undefined : new Date(Date.now() + parseDays(days) * DAY_MS);
  if (!/^[\x21-\x7e]{1,200}$/.test(namespace)) throw new InvalidArgumentError("--namespace", "has 1 to 200 visible ASCII characters");
  const config = parseConfig(cliConfig, env);
  const secrets = join(config.MEMSEAL_HOME, "secrets");
  const tenantSecret = loadSecret(config.MEMSEAL_TENANT_SECRET_FILE ?? join(secrets, SECRET_FILES.tenantSecret));
  const pepper = loadSecret(config.MEMSEAL_PEPPER_FILE ?? join(secrets, SECRET_FILES.pepper));

  const key = generateApiKey();
  const all = delegate ? [...given, "delegate"] : given;
  await createApiKey(ownerUrl(config), {
    keyId: key.keyId,
    secretHash: hashApiKeySecret(pepper, key.secret),
    tenant: user === undefined ? undefined : userHash(tenantSecret, user, namespace),
    namespace,
    scopes: all,
    expiresAt,
  });
  const text = formatApiKey(key);
  return { text, json: { key: text, key_id: key.keyId, namespace, scopes: all, expires_at: expiresAt?.toISOString() ?? null } };
}

/** `memseal keys list`: every key, neither with its secret nor with its user, whom nobody can read there. */
export async function listKeys(env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const keys = await listApiKeys(ownerUrl(parseConfig(cliConfig, env)));
  const rows = [["key id", "state", "for", "namespace", "scopes", "created", "expires"], ...keys.map(rowOf)];
  const widths = rows[0]?.map((_name, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return {
    text: rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n"),
    json: keys.map((key) => ({
      key_id: key.keyId,
      state: stateOf(key),
      bound: key.isBound,
      namespace: key.namespace,
      scopes: key.scopes,
      created_at: key.createdAt.toISOString(),
      expires_at: key.expiresAt?.toISOString() ?? null,
      revoked_at: key.revokedAt?.toISOString() ?? null,
    })),
  };
}

/** `memseal keys revoke`. A whole key is taken for its id. Tokens that it was exchanged for live on until they end. @throws NotFoundError */
export async function revokeKey(given: string, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const keyId = /^(?:msk_)?([A-Za-z0-9]{12})(?:_|$)/.exec(given)?.[1];
  if (keyId === undefined) throw new InvalidArgumentError("keys revoke", "takes the id of a key, 12 letters and digits: `memseal keys list` shows them");
  const revokedAt = await revokeApiKey(ownerUrl(parseConfig(cliConfig, env)), keyId);
  if (revokedAt === undefined) throw new NotFoundError(`API key ${keyId}`);
  return { text: `revoked ${keyId}; gateways that know it refuse it within ${TRUSTED_S} s`, json: { key_id: keyId, revoked_at: revokedAt.toISOString() } };
}

function rowOf(key: ListedApiKey): string[] {
  return [key.keyId, stateOf(key), key.isBound ? "one user" : "delegation", key.namespace, key.scopes.join(","), key.createdAt.toISOString(), key.expiresAt?.toISOString() ?? "never"];
}

function stateOf({ revokedAt, expiresAt }: ListedApiKey): "active" | "revoked" | "expired" {
  if (revokedAt !== null) return "revoked";
  return expiresAt !== null && expiresAt.getTime() <= Date.now() ? "expired" : "active";
}

function parseScopes(text: string): string[] {
  const scopes = [...new Set(text.split(","))];
  if (scopes.some((scope) => !GIVEN_SCOPES.some((known) => known === scope))) throw new InvalidArgumentError("--scopes", `are of ${GIVEN_SCOPES.join(", ")}, comma-separated`);
  return scopes;
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!/^\d{1,5}$/.test(text) || days < 1) throw new InvalidArgumentError("--days", "is a whole number from 1 to 99999");
  return days;
}
