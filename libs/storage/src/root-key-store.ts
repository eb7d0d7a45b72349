import { parseUserHash, OpenError, type UserHash } from "@memseal/crypto";
import { AppError, NotFoundError } from "@memseal/errors";
import { rewrapTenantKey, type FileRootKeys, type RootKeyVersion, type WrappedKey } from "@memseal/keys";
import pg from "pg";
import { remakeApiKeyMacs } from "./api-key-store.js";
import { toStorageError } from "./errors.js";
import { assertSchema } from "./start-checks.js";

/** Any number that nobody else uses as an advisory lock here: "rootkeys" as ASCII. */
const ROTATION_LOCK = "8245931988547369331";

/** Tenants whose keys are rewrapped in one transaction: what a killed rotation does again, and how many rows a write may wait for. */
const BATCH = 100;

/** How long a destruction waits for the transactions that use tenants' keys: it holds up everybody else meanwhile. */
const LOCK_TIMEOUT_MS = 10_000;
const LOCK_NOT_AVAILABLE = "55P03";

/** A version of the root key as the database knows it. */
export interface RootKeyRecord {
  version: number;
  id: string;
  createdAt: Date;
  /** When every tenant key there was had been wrapped by it; null before. */
  rotatedAt: Date | null;
  destroyedAt: Date | null;
}

export interface Rotation {
  /** The version that wraps now. */
  version: number;
  id: string;
  /** Whether this call made it. */
  isNew: boolean;
  /** Tenant keys that this call wrapped anew. */
  rewrapped: number;
  /** Tenant keys that no version opens, left as they are. While there are any, the rotation is not finished. */
  unopened: number;
}

export interface RotationUrls {
  owner: string;
  /** The scheduler's connection: it alone sees which tenants there are. */
  scheduler: string;
}

/**
 * What a call does: `rotate` makes a version and wraps every tenant key by it, or ends a rotation that was begun; `prepare` makes it
 * alone; `resume` makes none.
 */
export type RotationStep = "rotate" | "prepare" | "resume";

/**
 * Rotates the root key as the owner, beside running services. Killed at any moment, the next call goes on where it was. Rows of API
 * keys are authenticated under the new version, too.
 * @throws AppError failed_precondition while another rotation runs, or where a recorded version is not held
 */
export async function rotateRootKey(urls: RotationUrls, roots: FileRootKeys, step: RotationStep): Promise<Rotation> {
  return asOwner(urls.owner, async (client) => {
    const records = await recordVersions(client, roots);
    let [newest] = roots.versions();
    const isFinished = records.some(({ version, rotatedAt }) => version === newest.version && rotatedAt !== null);
    const isNew = isFinished && step !== "resume";
    if (isNew) {
      newest = roots.add();
      await recordVersions(client, roots);
    }
    const rotation: Rotation = { version: newest.version, id: newest.provider.id, isNew, rewrapped: 0, unopened: 0 };
    if (step === "prepare") return rotation;
    for await (const tenants of everyTenant(urls.scheduler)) {
      const { rewrapped, unopened } = await inTransaction(client, () => rewrapKeys(client, roots, newest, tenants));
      rotation.rewrapped += rewrapped;
      rotation.unopened += unopened;
    }
    await inTransaction(client, async () => {
      await remakeApiKeyMacs(client, roots.macs());
      if (rotation.unopened === 0) await client.query("UPDATE memseal.root_key SET rotated_at = COALESCE(rotated_at, now()) WHERE version = $1", [newest.version]);
    });
    return rotation;
  });
}

/**
 * Destroys a version of the root key: removes its file and records when, for the receipts of erasures. From the commit on no row is
 * wrapped by it, whoever still holds it. Killed at any moment, the next call ends it.
 * @throws NotFoundError for a version that never was; AppError failed_precondition while a tenant key is wrapped by it, or while it wraps
 */
export async function destroyRootKey(ownerUrl: string, roots: FileRootKeys, version: number): Promise<RootKeyRecord & { destroyedAt: Date }> {
  return asOwner(ownerUrl, async (client) => {
    const records = await recordVersions(client, roots, version);
    const record = records.find((one) => one.version === version);
    if (record === undefined) throw new NotFoundError(`root key version ${version}`);
    if (version === roots.versions()[0].version) throw new AppError("failed_precondition", `root key version ${version} is the one that wraps: run \`memseal keys rotate-root\` first`);
    if (record.destroyedAt !== null) {
      roots.remove(version);
      return { ...record, destroyedAt: record.destroyedAt };
    }
    return inTransaction(client, async () => {
      await remakeApiKeyMacs(client, roots.macs());
      const wrapped = await countWrapped(client, record.id);
      if (wrapped > 0) {
        throw new AppError("failed_precondition", `${wrapped} ${wrapped === 1 ? "tenant key is" : "tenant keys are"} still wrapped by root key version ${version}: run \`memseal keys rotate-root --resume\` first`);
      }
      const { rows: [{ destroyedAt }] } = await client.query<{ destroyedAt: Date }>(
        `UPDATE memseal.root_key SET destroyed_at = date_trunc('milliseconds', clock_timestamp()) WHERE version = $1 RETURNING destroyed_at AS "destroyedAt"`,
        [version],
      );
      // Before the commit: a date that is recorded of a key that is still there would be untrue.
      roots.remove(version);
      return { ...record, destroyedAt };
    });
  });
}

/** Every version that the database or the key files know, the newest first. Changes nothing. */
export async function listRootKeys(ownerUrl: string): Promise<RootKeyRecord[]> {
  return connected(ownerUrl, async (client) => {
    await assertSchema(client);
    return readRecords(client);
  });
}

/**
 * Records the versions that are held and are not recorded.
 * mayLack: the version that need not be held.
 * @throws AppError failed_precondition where the files are not those of this database
 */
async function recordVersions(client: pg.ClientBase, roots: FileRootKeys, mayLack?: number): Promise<RootKeyRecord[]> {
  const held = [...roots.versions()].reverse();
  const before = await readRecords(client);
  for (const { version, id, destroyedAt } of before) {
    const file = held.find((one) => one.version === version);
    if (file === undefined && destroyedAt === null && version !== mayLack) {
      throw new AppError("failed_precondition", `root key version ${version} of this database is not beside ${held[0].file}: copy it there first`);
    }
    if (file !== undefined && file.provider.id !== id) throw new AppError("failed_precondition", `${file.file} is not version ${version} of this database's root key: put the right one there`);
    if (file !== undefined && destroyedAt !== null && version !== mayLack) {
      throw new AppError("failed_precondition", `root key version ${version} was destroyed, and ${file.file} is there again: run \`memseal keys destroy-root ${version}\``);
    }
  }
  // What nobody recorded before has wrapped every key there is.
  const first = before.length === 0 ? held[0].version : 0;
  for (const { version, provider } of held) {
    await client.query(
      `INSERT INTO memseal.root_key (version, provider, root_key_id, created_at, rotated_at)
       VALUES ($1, $2, $3, now(), CASE WHEN $4 THEN now() END) ON CONFLICT (version) DO NOTHING`,
      [version, provider.provider, provider.id, version === first],
    );
  }
  return readRecords(client);
}

async function readRecords(client: pg.ClientBase): Promise<RootKeyRecord[]> {
  const { rows } = await client.query<RootKeyRecord>(
    `SELECT version, root_key_id AS id, created_at AS "createdAt", rotated_at AS "rotatedAt", destroyed_at AS "destroyedAt" FROM memseal.root_key ORDER BY version DESC`,
  );
  return rows;
}

/** Each tenant once, in batches, also those that are erased. One that is made meanwhile may be left out. */
async function* everyTenant(schedulerUrl: string): AsyncGenerator<UserHash[]> {
  const client = new pg.Client({ connectionString: schedulerUrl });
  try {
    await client.connect();
    for (let after = ""; ;) {
      const { rows } = await client.query<{ tenant: string }>(
        "SELECT encode(user_hash, 'hex') AS tenant FROM memseal.tenant WHERE user_hash > decode($1, 'hex') ORDER BY user_hash LIMIT $2",
        [after, BATCH],
      );
      const tenants = rows.map(({ tenant }) => parseUserHash(tenant));
      if (tenants.length === 0) return;
      after = tenants[tenants.length - 1];
      yield tenants;
    }
  } finally {
    await client.end();
  }
}

/** Wraps keys of tenants by `newest`, one tenant after the other: row security holds for the owner, too. */
async function rewrapKeys(client: pg.ClientBase, roots: FileRootKeys, newest: RootKeyVersion, tenants: readonly UserHash[]): Promise<Pick<Rotation, "rewrapped" | "unopened">> {
  const root = newest.provider;
  let [rewrapped, unopened] = [0, 0];
  for (const tenant of tenants) {
    const userHash = Buffer.from(tenant, "hex");
    await client.query(`SET LOCAL app.user_hash = '${tenant}'`);
    const { rows } = await client.query<WrappedKey>(
      `SELECT purpose, version, commitment, provider, root_key_id AS "rootKeyId", wrapped FROM memseal.tenant_key
       WHERE user_hash = $1 AND (provider, root_key_id) <> ($2, $3)`,
      [userHash, root.provider, root.id],
    );
    for (const record of rows) {
      try {
        const wrapped = await rewrapTenantKey(roots, root, tenant, record);
        // Only what was read: a key that was erased meanwhile stays gone.
        const { rowCount } = await client.query(
          `UPDATE memseal.tenant_key SET provider = $5, root_key_id = $6, wrapped = $7 WHERE user_hash = $1 AND purpose = $2 AND version = $3 AND wrapped = $4`,
          [userHash, record.purpose, record.version, record.wrapped, root.provider, root.id, wrapped],
        );
        rewrapped += rowCount ?? 0;
      } catch (error) {
        if (!(error instanceof OpenError) && !(error instanceof AppError && error.code === "data_loss")) throw error;
        unopened++;
      }
    }
  }
  return { rewrapped, unopened };
}

/** Rows of all tenants: FORCE binds the owner, too, and is back with the rollback or before the commit. Nobody inserts one until then. */
async function countWrapped(client: pg.ClientBase, rootKeyId: string): Promise<number> {
  await client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ALTER TABLE memseal.tenant_key NO FORCE ROW LEVEL SECURITY`);
  const { rows: [{ wrapped }] } = await client.query<{ wrapped: string }>("SELECT count(*) AS wrapped FROM memseal.tenant_key WHERE root_key_id = $1", [rootKeyId]);
  await client.query("ALTER TABLE memseal.tenant_key FORCE ROW LEVEL SECURITY");
  return Number(wrapped);
}

async function inTransaction<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query("BEGIN");
  const result = await work();
  await client.query("COMMIT");
  return result;
}

/** One rotation or destruction at a time: the lock goes with the connection, and so does an open transaction. */
async function asOwner<T>(ownerUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return connected(ownerUrl, async (client) => {
    await assertSchema(client);
    const { rows: [{ locked }] } = await client.query<{ locked: boolean }>("SELECT pg_try_advisory_lock($1) AS locked", [ROTATION_LOCK]);
    if (!locked) throw new AppError("failed_precondition", "another rotation or destruction of a root key runs on this database");
    return work(client);
  });
}

async function connected<T>(ownerUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: ownerUrl });
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE) throw new AppError("aborted", "tenants' keys are in use without a pause; try again", { cause: error });
    throw toStorageError(error);
  } finally {
    await client.end();
  }
}
