import { formatApiKey, generateApiKey, hashApiKeySecret, USER_SCOPES } from "@memseal/auth";
import { parseConfig } from "@memseal/config";
import { codePointLength, LIMITS } from "@memseal/contracts";
import { DEFAULT_NAMESPACE, userHash } from "@memseal/crypto";
import { InvalidArgumentError, NotFoundError } from "@memseal/errors";
import type { ApiKeyMacs } from "@memseal/keys";
import { createApiKey, listApiKeys, listKeyEvents, revokeApiKey, vouchForApiKeys, type ListedApiKey } from "@memseal/storage";
import type { z } from "zod";
import { FAILED, UsageError, type CommandResult } from "./command.js";
import { cliConfig, openRootKeys, openSecret, ownerUrl } from "./config.js";
import { table } from "./terminal.js";

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
  // A longer one no request could name.
  if (user !== undefined && codePointLength(user) > LIMITS.userIdCharacters) throw new InvalidArgumentError("--user", `has at most ${LIMITS.userIdCharacters} characters`);
  const given = parseScopes(scopes ?? DEFAULT_SCOPES);
  const expiresAt = days === undefined ? undefined : new Date(Date.now() + parseDays(days) * DAY_MS);
  if (!/^[\x21-\x7e]{1,200}$/.test(namespace)) throw new InvalidArgumentError("--namespace", "has 1 to 200 visible ASCII characters");
  const config = parseConfig(cliConfig, env);
  const tenantSecret = openSecret(config, "tenantSecret");
  const pepper = openSecret(config, "pepper");

  const key = generateApiKey();
  const all = delegate ? [...given, "delegate"] : given;
  const { url, macs } = ownerOf(config);
  await createApiKey(url, macs, {
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
  const { url, macs } = ownerOf(parseConfig(cliConfig, env));
  const keys = await listApiKeys(url, macs);
  return {
    text: table([["key id", "state", "for", "namespace", "scopes", "created", "expires"], ...keys.map(rowOf)]),
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
  const keyId = keyIdIn("keys revoke", given);
  const { url, macs } = ownerOf(parseConfig(cliConfig, env));
  const revokedAt = await revokeApiKey(url, macs, keyId);
  if (revokedAt === undefined) throw new NotFoundError(`API key ${keyId}`);
  return { text: `revoked ${keyId}; gateways that know it refuse it within ${TRUSTED_S} s`, json: { key_id: keyId, revoked_at: revokedAt.toISOString() } };
}

/**
 * `memseal keys vouch`: vouches for what the rows of keys that an earlier release made say now. all: for each of them.
 * @throws NotFoundError for a key that has a MAC already, right or wrong
 */
export async function vouchForKeys({ id, all = false }: { id?: string | undefined; all?: boolean | undefined }, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  if (all === (id !== undefined)) throw new UsageError("keys vouch takes the id of a key, or --all");
  const named = id === undefined ? undefined : keyIdIn("keys vouch", id);
  const { url, macs } = ownerOf(parseConfig(cliConfig, env));
  const vouchedFor = await vouchForApiKeys(url, macs, named === undefined ? "all" : [named]);
  if (named !== undefined && vouchedFor.length === 0) throw new NotFoundError(`API key without a MAC named ${named}`);
  return { text: vouchedFor.length === 0 ? "every key has a MAC already" : vouchedFor.map((keyId) => `vouched for ${keyId}`).join("\n"), json: { vouched_for: vouchedFor } };
}

/** `memseal keys audit`: what was done to keys, and whether that record is whole; exit code 1 where it is not. */
export async function auditKeys(env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const { url, macs } = ownerOf(parseConfig(cliConfig, env));
  const events = await listKeyEvents(url, macs);
  const broken = events.find(({ isChained }) => !isChained);
  const rows = events.map(({ n, at, action, keyId }) => [String(n), at.toISOString(), action, keyId]);
  return {
    text: [table([["n", "at", "action", "key id"], ...rows]), "", broken === undefined ? "the chain is whole" : `the chain is broken at event ${broken.n}: from there on it was altered`].join("\n"),
    json: { whole: broken === undefined, events: events.map(({ n, at, action, keyId, isChained }) => ({ n, at: at.toISOString(), action, key_id: keyId, chained: isChained })) },
    exitCode: broken === undefined ? 0 : FAILED,
  };
}

/** What only the installation's owner has: the database, and the root key that rows of keys are authenticated under. */
function ownerOf(config: z.infer<typeof cliConfig>): { url: string; macs: ApiKeyMacs } {
  return { macs: openRootKeys(config).macs(), url: ownerUrl(config) };
}

/** @throws InvalidArgumentError */
function keyIdIn(command: string, given: string): string {
  const keyId = /^(?:msk_)?([A-Za-z0-9]{12})(?:_|$)/.exec(given)?.[1];
  if (keyId === undefined) throw new InvalidArgumentError(command, "takes the id of a key, 12 letters and digits: `memseal keys list` shows them");
  return keyId;
}

function rowOf(key: ListedApiKey): string[] {
  return [key.keyId, stateOf(key), key.isBound ? "one user" : "delegation", key.namespace, key.scopes.join(","), key.createdAt.toISOString(), key.expiresAt?.toISOString() ?? "never"];
}

/** `unauthenticated` and `altered` keys are refused, whatever else their rows say. */
function stateOf({ authenticity, revokedAt, expiresAt }: ListedApiKey): "active" | "revoked" | "expired" | "unauthenticated" | "altered" {
  if (authenticity !== "authentic") return authenticity;
  if (revokedAt !== null) return "revoked";
  return expiresAt !== null && expiresAt.getTime() <= Date.now() ? "expired" : "active";
}

function parseScopes(text: string): string[] {
  const scopes = [...new Set(text.split(","))];
  if (scopes.some((scope) => !USER_SCOPES.some((known) => known === scope))) throw new InvalidArgumentError("--scopes", `are of ${USER_SCOPES.join(", ")}, comma-separated`);
  return scopes;
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!/^\d{1,5}$/.test(text) || days < 1) throw new InvalidArgumentError("--days", "is a whole number from 1 to 99999");
  return days;
}
