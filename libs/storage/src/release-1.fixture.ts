import pg from "pg";
import { ROLES } from "./roles.js";

// What the services of the release for schema 1 sent to the database, word for word (commit 636c9a0): it must go on
// working for as long as a migration's min_service is 1.

const KEPT = "01900000-0000-7000-8000-000000000001";
const DELETED = "01900000-0000-7000-8000-000000000002";
const SELECT_MEMORY = "SELECT id, row_version, text_cipher, meta_cipher, created_at, updated_at FROM memseal.memory";

interface Urls {
  owner: string;
  app: string;
  auth: string;
}

/** Makes a tenant with a key, two memories, one of them deleted again, and an API key: a row or more in every table of schema 1. */
export async function writeAsRelease1({ owner, app }: Urls, tenant: Buffer): Promise<void> {
  await inTransaction(app, begin(tenant), async (query) => {
    await query("INSERT INTO memseal.tenant (user_hash, generation) VALUES ($1, $2) ON CONFLICT (user_hash) DO NOTHING", [tenant, 1]);
    await query(
      `INSERT INTO memseal.tenant_key (user_hash, purpose, version, kid, commitment, provider, root_key_id, wrapped, status)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [tenant, "seal", 1, Buffer.alloc(16, 7), Buffer.alloc(32, 7), "file", "root-1", Buffer.alloc(60, 8), "active"],
    );
    await query(
      `INSERT INTO memseal.embedding_generation (user_hash, generation, model, dimension, chunker, state)
       VALUES ($1, $2, $3, $4, $5, 'active')`,
      [tenant, 1, "", 3, "whole"],
    );
    await query("UPDATE memseal.embedding_generation SET model = $3 WHERE user_hash = $1 AND generation = $2 AND model IN ('', $3)", [tenant, 1, "bge"]);
  });
  await inTransaction(app, begin(tenant), async (query) => {
    const { seq, generation, at } = await takeTurn(query, tenant);
    await query(
      `INSERT INTO memseal.memory (user_hash, id, seq, row_version, text_cipher, meta_cipher, created_at, updated_at)
       SELECT $1, m.id, $2, m.row_version, m.text_cipher, m.meta_cipher, $3, $3
       FROM (VALUES ($4::uuid, $5::integer, $6::bytea, $7::bytea), ($8::uuid, $9::integer, $10::bytea, $11::bytea)) AS m (id, row_version, text_cipher, meta_cipher)`,
      [tenant, seq, at, ...[KEPT, DELETED].flatMap((id) => [id, 1, Buffer.from(`text of ${id}`), Buffer.from([0, 255, 128])])],
    );
    await query(
      `INSERT INTO memseal.chunk (user_hash, seq, generation, memory_id, chunk_no, row_version, emb_cipher)
       SELECT $1, $2, $3, c.memory_id, c.chunk_no, c.row_version, c.emb_cipher
       FROM (VALUES ($4::uuid, $5::integer, $6::integer, $7::bytea), ($8::uuid, $9::integer, $10::integer, $11::bytea)) AS c (memory_id, chunk_no, row_version, emb_cipher)`,
      [tenant, seq, generation, ...[KEPT, DELETED].flatMap((id) => [id, 0, 1, Buffer.alloc(20, 9)])],
    );
    await query("UPDATE memseal.tenant SET memory_count = memory_count + $2, byte_count = byte_count + $3 WHERE user_hash = $1", [tenant, 2, 130]);
  });
  await inTransaction(app, begin(tenant), async (query) => {
    const { seq, at } = await takeTurn(query, tenant);
    await query("DELETE FROM memseal.memory WHERE user_hash = $1 AND id = $2 RETURNING octet_length(text_cipher) + octet_length(meta_cipher) AS bytes", [tenant, DELETED]);
    await query("DELETE FROM memseal.chunk WHERE user_hash = $1 AND memory_id = $2 RETURNING octet_length(emb_cipher) AS bytes", [tenant, DELETED]);
    await query("INSERT INTO memseal.memory_tombstone (user_hash, id, seq, deleted_at) VALUES ($1, $2, $3, $4)", [tenant, DELETED, seq, at]);
  });
  await inTransaction(owner, `BEGIN; SET LOCAL ROLE ${ROLES.keys}`, async (query) => {
    await query(
      "INSERT INTO memseal.api_key (key_id, secret_hash, user_hash, namespace, scopes) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key_id) DO NOTHING",
      [keyId(tenant), Buffer.alloc(32, 5), tenant, "default", ["read", "write"]],
    );
  });
}

/** Everything its services read, as they read it, but for the times and the tenant. */
export async function readAsRelease1({ app, auth }: Urls, tenant: Buffer): Promise<Record<string, unknown[]>> {
  const read = await inTransaction(app, begin(tenant), async (query) => ({
    state: await query(`SELECT seq, epoch, state, generation, tombstone_floor FROM memseal.tenant WHERE user_hash = decode('${tenant.toString("hex")}', 'hex')`),
    keys: await query(
      `SELECT purpose, version, kid, commitment, provider, root_key_id, wrapped, status FROM memseal.tenant_key
       WHERE user_hash = $1 AND purpose = $2 AND status IN ('active', 'decrypt_only') ORDER BY version DESC`,
      [tenant, "seal"],
    ),
    generation: await query(
      `SELECT g.generation, g.model, g.dimension, g.chunker
       FROM memseal.tenant AS t JOIN memseal.embedding_generation AS g USING (user_hash, generation)
       WHERE t.user_hash = $1`,
      [tenant],
    ),
    found: await query(`${SELECT_MEMORY} WHERE user_hash = $1 AND id = ANY ($2::uuid[])`, [tenant, [KEPT, DELETED]]),
    listed: await query(`${SELECT_MEMORY} WHERE user_hash = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`, [tenant, null, 10]),
    changed: await query(`${SELECT_MEMORY} WHERE user_hash = $1 AND seq > $2 ORDER BY seq, id`, [tenant, 0]),
    chunks: await query(
      `SELECT memory_id, generation, chunk_no, row_version, emb_cipher FROM memseal.chunk
       WHERE user_hash = $1 AND generation = $2 AND seq > $3 ORDER BY memory_id, chunk_no`,
      [tenant, 1, 0],
    ),
    tombstones: await query("SELECT id FROM memseal.memory_tombstone WHERE user_hash = $1 AND seq > $2", [tenant, 0]),
  }));
  const caller = await inTransaction(auth, "BEGIN", (query) => query("SELECT namespace, scopes FROM memseal.resolve_api_key($1, $2)", [keyId(tenant), Buffer.alloc(32, 5)]));
  return Object.fromEntries(Object.entries({ ...read, caller }).map(([name, rows]) => [name, rows.map(({ created_at: _created, updated_at: _updated, ...row }) => row)]));
}

type Query = (sql: string, parameters?: unknown[]) => Promise<pg.QueryResultRow[]>;

async function takeTurn(query: Query, tenant: Buffer): Promise<pg.QueryResultRow> {
  const [turn] = await query(
    `UPDATE memseal.tenant SET seq = seq + 1 WHERE user_hash = $1 AND state = 'active'
       RETURNING seq, generation, date_trunc('milliseconds', clock_timestamp()) AS at`,
    [tenant],
  );
  return turn;
}

const begin = (tenant: Buffer): string => `BEGIN; SET LOCAL app.user_hash = '${tenant.toString("hex")}'`;
const keyId = (tenant: Buffer): string => tenant.toString("hex").slice(0, 12);

async function inTransaction<T>(url: string, beginSql: string, work: (query: Query) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(beginSql);
    const result = await work(async (sql, parameters = []) => (await client.query<pg.QueryResultRow>(sql, parameters)).rows);
    await client.query("COMMIT");
    return result;
  } finally {
    await client.end();
  }
}
