import type { UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import type { ApiKeyEvent, ApiKeyMacs, ApiKeyRow, Microseconds } from "@memseal/keys";
import { inSpan } from "@memseal/telemetry";
import pg from "pg";
import { z } from "zod";
import { toStorageError } from "./errors.js";
import { ROLES } from "./roles.js";
import { SharedConnection } from "./shared-connection.js";
import { assertSchema } from "./start-checks.js";
import { spanOf } from "./statement-span.js";

/** Any number that nobody else uses as an advisory lock here: "api keys" as ASCII. Events continue one another. */
const EVENTS_LOCK = "7021227407032285555";

/** A column of times as a MAC takes it in; `trunc`, since the product has decimals. */
const microseconds = (column: string) => `trunc(extract(epoch FROM ${column}) * 1000000)::text`;

/** The columns that a lookup does not know already, as they are authenticated. */
const COLUMNS = `user_hash AS "userHash", namespace, scopes, ${microseconds("created_at")} AS "createdAt", ${microseconds("expires_at")} AS "expiresAt",
  ${microseconds("revoked_at")} AS "revokedAt", mac`;

const RESOLVE = `SELECT ${COLUMNS} FROM memseal.resolve_api_key($1, $2)`;

const SELECT_ROWS = `SELECT key_id AS "keyId", secret_hash AS "secretHash", ${COLUMNS} FROM memseal.api_key`;

const SELECT_EVENTS = `SELECT n, ${microseconds("at")} AS at, action, key_id AS "keyId", mac FROM memseal.key_event ORDER BY n`;

/** Source: ECMA-262, 21.4.1.1. */
const MAX_DATE_MS = 8.64e15;

interface StoredEvent {
  n: string;
  at: Microseconds;
  action: string;
  keyId: string;
  mac: Buffer;
}

type StoredRow = ApiKeyRow & { userHash: Buffer | null; mac: Buffer | null };

export interface NewApiKey {
  keyId: string;
  secretHash: Buffer;
  /** Absent for a delegate key, which is bound to no user. */
  tenant?: UserHash | undefined;
  namespace: string;
  scopes: readonly string[];
  expiresAt?: Date | undefined;
}

/**
 * Writes an API key as the owner. A key that is there already stays as it is, revoked or not.
 * @throws AppError already_exists when its id belongs to another secret or user
 */
export async function createApiKey(ownerUrl: string, macs: ApiKeyMacs, key: NewApiKey): Promise<void> {
  const userHash = key.tenant === undefined ? null : Buffer.from(key.tenant, "hex");
  // By the clock of this machine: what the database answers is not authenticated.
  const createdAt = new Date();
  const isThere = await asKeys(ownerUrl, async (client) => {
    const mac = macs.ofRow({
      ...key, userHash, createdAt: toMicroseconds(createdAt), expiresAt: key.expiresAt === undefined ? null : toMicroseconds(key.expiresAt), revokedAt: null,
    });
    const made = await client.query(
      `INSERT INTO memseal.api_key (key_id, secret_hash, user_hash, namespace, scopes, created_at, expires_at, mac) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT (key_id) DO NOTHING`,
      [key.keyId, key.secretHash, userHash, key.namespace, key.scopes, createdAt, key.expiresAt ?? null, mac],
    );
    if (made.rowCount === 1) await appendEvent(client, macs, "create", key.keyId);
    const found = await client.query("SELECT FROM memseal.api_key WHERE key_id = $1 AND secret_hash = $2 AND user_hash IS NOT DISTINCT FROM $3", [key.keyId, key.secretHash, userHash]);
    return found.rowCount === 1;
  });
  if (!isThere) throw new AppError("already_exists", "an API key with this id exists already, with another secret or for another user");
}

/** Whether a row is as somebody with the root key wrote it: `unauthenticated` without a MAC, `altered` with that of another row. */
export type Authenticity = "authentic" | "unauthenticated" | "altered";

/** An API key as its owner sees it: neither secret nor user. */
export interface ListedApiKey {
  keyId: string;
  authenticity: Authenticity;
  /** Whether it is bound to one user. */
  isBound: boolean;
  namespace: string;
  scopes: readonly string[];
  createdAt: Date;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

/** Every API key, the newest first, as the owner. */
export async function listApiKeys(ownerUrl: string, macs: ApiKeyMacs): Promise<ListedApiKey[]> {
  const { rows } = await asKeys(ownerUrl, (client) => client.query<StoredRow>(`${SELECT_ROWS} ORDER BY created_at DESC, key_id`));
  return rows.map((row) => ({
    keyId: row.keyId,
    authenticity: authenticityOf(row, macs),
    isBound: row.userHash !== null,
    namespace: row.namespace,
    scopes: row.scopes,
    createdAt: toDate(row.createdAt),
    expiresAt: row.expiresAt === null ? null : toDate(row.expiresAt),
    revokedAt: row.revokedAt === null ? null : toDate(row.revokedAt),
  }));
}

/**
 * Revokes a key for good, as the owner, and says since when it is; an earlier revocation keeps its time. Undefined for a key
 * that there is not. What was altered before is authenticated with it, as revoked, which opens nothing.
 */
export async function revokeApiKey(ownerUrl: string, macs: ApiKeyMacs, keyId: string): Promise<Date | undefined> {
  return asKeys(ownerUrl, async (client) => {
    const { rows } = await client.query<StoredRow>(`${SELECT_ROWS} WHERE key_id = $1 FOR UPDATE`, [keyId]);
    const [row] = rows;
    if (row === undefined) return undefined;
    if (row.revokedAt !== null && authenticityOf(row, macs) === "authentic") return toDate(row.revokedAt);
    const revokedAt = row.revokedAt === null ? new Date() : toDate(row.revokedAt);
    const mac = macs.ofRow({ ...row, keyId, revokedAt: toMicroseconds(revokedAt) });
    await client.query("UPDATE memseal.api_key SET revoked_at = $2, mac = $3 WHERE key_id = $1", [keyId, revokedAt, mac]);
    await appendEvent(client, macs, "revoke", keyId);
    return revokedAt;
  });
}

/**
 * Gives keys that have no MAC one for what their rows say now, as the owner: those of a release that made none. Never one
 * that has a MAC already, right or wrong. keyIds: which; "all" of them. Returns the ids of those it gave one.
 */
export async function vouchForApiKeys(ownerUrl: string, macs: ApiKeyMacs, keyIds: readonly string[] | "all"): Promise<string[]> {
  return asKeys(ownerUrl, async (client) => {
    const { rows } = await client.query<StoredRow>(
      `${SELECT_ROWS} WHERE mac IS NULL AND ($1::text[] IS NULL OR key_id = ANY ($1)) ORDER BY key_id FOR UPDATE`,
      [keyIds === "all" ? null : keyIds],
    );
    for (const row of rows) {
      await client.query("UPDATE memseal.api_key SET mac = $2 WHERE key_id = $1", [row.keyId, macs.ofRow(row)]);
      await appendEvent(client, macs, "vouch", row.keyId);
    }
    return rows.map(({ keyId }) => keyId);
  });
}

export interface ListedKeyEvent {
  n: number;
  at: Date;
  action: string;
  keyId: string;
  /** Whether it is as it was written and follows the one before; of all after the first that is not, false. */
  isChained: boolean;
}

/** Everything that was done to API keys, the oldest first, as the owner. Events that were cut off at the end leave no trace. */
export async function listKeyEvents(ownerUrl: string, macs: ApiKeyMacs): Promise<ListedKeyEvent[]> {
  const { rows } = await asKeys(ownerUrl, (client) => client.query<StoredEvent>(SELECT_EVENTS));
  let before: Buffer | undefined;
  let isChained = true;
  return rows.map(({ mac, ...row }, i) => {
    const event = { ...row, n: Number(row.n) };
    isChained &&= event.n === i + 1 && macs.isOfEvent(event, before, mac);
    before = mac;
    return { ...event, at: toDate(event.at), isChained };
  });
}

/**
 * Makes every MAC anew under the current version of the root key, in the owner's open transaction. What is not authentic stays as it
 * is, and so does the chain from where it is broken.
 */
export async function remakeApiKeyMacs(client: pg.ClientBase, macs: ApiKeyMacs): Promise<void> {
  await client.query(`SET LOCAL ROLE ${ROLES.keys}`);
  await client.query("SELECT pg_advisory_xact_lock($1)", [EVENTS_LOCK]);
  const { rows } = await client.query<StoredRow>(`${SELECT_ROWS} FOR UPDATE`);
  for (const row of rows) {
    if (authenticityOf(row, macs) === "authentic") await client.query("UPDATE memseal.api_key SET mac = $2 WHERE key_id = $1", [row.keyId, macs.ofRow(row)]);
  }
  // Who writes events may not change any; the tables' owner may.
  await client.query("RESET ROLE");
  const { rows: events } = await client.query<StoredEvent>(SELECT_EVENTS);
  let [before, beforeAnew]: (Buffer | undefined)[] = [];
  for (const [i, { mac, ...row }] of events.entries()) {
    const event = { ...row, n: Number(row.n) };
    if (event.n !== i + 1 || !macs.isOfEvent(event, before, mac)) return;
    const anew = macs.ofEvent(event, beforeAnew);
    await client.query("UPDATE memseal.key_event SET mac = $2 WHERE n = $1", [event.n, anew]);
    [before, beforeAnew] = [mac, anew];
  }
}

/** In the transaction of what was done. */
async function appendEvent(client: pg.ClientBase, macs: ApiKeyMacs, action: "create" | "vouch" | "revoke", keyId: string): Promise<void> {
  await client.query("SELECT pg_advisory_xact_lock($1)", [EVENTS_LOCK]);
  const { rows } = await client.query<{ n: string; mac: Buffer }>("SELECT n, mac FROM memseal.key_event ORDER BY n DESC LIMIT 1");
  const [last] = rows;
  const at = new Date();
  const event: ApiKeyEvent = { n: Number(last?.n ?? 0) + 1, at: toMicroseconds(at), action, keyId };
  await client.query("INSERT INTO memseal.key_event (n, at, action, key_id, mac) VALUES ($1, $2, $3, $4, $5)", [event.n, at, action, keyId, macs.ofEvent(event, last?.mac)]);
}

/** In one transaction of the owner, who takes on the keys role for it: its own rights show it no key. */
async function asKeys<T>(ownerUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: ownerUrl });
  try {
    await client.connect();
    await assertSchema(client);
    await client.query(`BEGIN; SET LOCAL ROLE ${ROLES.keys}`);
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw toStorageError(error);
  } finally {
    await client.end();
  }
}

export interface ResolvedKey {
  /** Absent for a key that is bound to no user. */
  tenant: Buffer | null;
  namespace: string;
  scopes: readonly string[];
}

/** Looks API keys up as the auth role, which can do nothing else. */
export class ApiKeyLookup {
  readonly #connection: SharedConnection;

  /** macs: those of now, since a rotation of the root key changes them. onRefused: told of each key that was found and is not authentic. */
  constructor(
    pool: pg.Pool,
    private readonly macs: () => ApiKeyMacs,
    private readonly onRefused: (keyId: string, authenticity: Exclude<Authenticity, "authentic">) => void,
  ) {
    this.#connection = new SharedConnection(pool);
  }

  /** Undefined for an unknown, expired or revoked key, for a wrong secret, and for a row that is not authentic alike. */
  async resolve(keyId: string, secretHash: Buffer): Promise<ResolvedKey | undefined> {
    const row = await this.#find(keyId, secretHash);
    if (row === undefined) return undefined;
    const authenticity = authenticityOf(row, this.macs());
    if (authenticity !== "authentic") {
      this.onRefused(keyId, authenticity);
      return undefined;
    }
    const { userHash, namespace, scopes, expiresAt, revokedAt } = row;
    // As the database says, too; it is what is authenticated that counts.
    if (revokedAt !== null || (expiresAt !== null && toDate(expiresAt).getTime() <= Date.now())) return undefined;
    return { tenant: userHash, namespace, scopes };
  }

  async #find(keyId: string, secretHash: Buffer): Promise<StoredRow | undefined> {
    try {
      const { rows } = await inSpan(spanOf(RESOLVE), () => this.#connection.query<Omit<StoredRow, "keyId" | "secretHash">>(RESOLVE, [keyId, secretHash]));
      return rows[0] && { ...rows[0], keyId, secretHash };
    } catch (error) {
      throw toStorageError(error);
    }
  }
}

/** The form of a row, where whoever owns the database could have changed its types. */
const rowForm = z.object({
  userHash: z.instanceof(Uint8Array).nullable(),
  namespace: z.string(),
  scopes: z.array(z.string()),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
  mac: z.instanceof(Uint8Array).nullable(),
});

function authenticityOf(row: StoredRow, macs: ApiKeyMacs): Authenticity {
  if (!rowForm.safeParse(row).success) return "altered";
  if (row.mac === null) return "unauthenticated";
  return macs.isOfRow(row, row.mac) ? "authentic" : "altered";
}

function toMicroseconds(date: Date): Microseconds {
  return `${date.getTime()}000`;
}

/** The nearest that a Date can say: the database knows later times, and an infinity. */
function toDate(at: Microseconds): Date {
  return new Date(Math.max(-MAX_DATE_MS, Math.min(MAX_DATE_MS, Number(at) / 1_000)));
}
