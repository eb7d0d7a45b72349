import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FIELD, open, OpenError, parseUserHash, seal, type UserHash } from "@memseal/crypto";
import { FileProvider, FileRootKeys, loadSecret, soleRootKey, TenantKeys, type RootKeys } from "@memseal/keys";
import { Logger } from "@memseal/telemetry";
import pg from "pg";
import { ApiKeyLookup, createApiKey, listApiKeys, listKeyEvents, revokeApiKey } from "./api-key-store.js";
import { createPool } from "./pool.js";
import { destroyRootKey, listRootKeys, rotateRootKey, type RotationStep } from "./root-key-store.js";
import { TenantKeyStore } from "./tenant-key-store.js";
import { TenantStore } from "./tenant-store.js";
import { TenantDatabase } from "./tenant-transaction.js";
import { startTestDatabase, withClient, type TestDatabase } from "./testing.js";

const silent = new Logger("test", () => undefined);
let test: TestDatabase;
let pool: pg.Pool;
let database: TenantDatabase;
let dir: string;
let file: string;
let roots: FileRootKeys;

beforeAll(async () => {
  test = await startTestDatabase();
  pool = createPool(test.urls.app, silent, 8);
  database = new TenantDatabase(pool);
});
afterAll(async () => {
  await pool.end();
  await test.stop();
});
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "memseal-root-"));
  file = join(dir, "root.key");
  writeFileSync(file, randomBytes(32), { mode: 0o600 });
  roots = FileRootKeys.open(file);
  await test.asSuperuser("TRUNCATE memseal.root_key, memseal.tenant, memseal.tenant_key, memseal.embedding_generation, memseal.api_key, memseal.key_event");
});
afterEach(() => { rmSync(dir, { recursive: true }); });

const newKeys = (own: RootKeys = roots) => new TenantKeys(new TenantKeyStore(database), own);
const rotate = (step: RotationStep = "rotate") => rotateRootKey(test.urls, FileRootKeys.open(file), step);
const destroy = (version: number) => destroyRootKey(test.urls.owner, FileRootKeys.open(file), version);
const place = (tenant: UserHash) => ({ tenant, rowId: Buffer.alloc(16), field: FIELD.text, rowVersion: 1 });
const idOf = (version: number) => FileRootKeys.open(file).versions().find((one) => one.version === version)?.provider.id;

async function newTenant(keys = newKeys()): Promise<UserHash> {
  const tenant = parseUserHash(randomBytes(32).toString("hex"));
  const wrapped = await keys.wrapFirst(tenant);
  await database.withTenant(tenant, (tx) => new TenantStore().open(tx, wrapped, { model: "m", dimension: 3, chunker: "c" }));
  return tenant;
}

/** How many keys each root key id wraps. */
async function wrappedBy(): Promise<Record<string, number>> {
  const rows = await test.asSuperuser<{ id: string; count: string }>("SELECT root_key_id AS id, count(*) FROM memseal.tenant_key GROUP BY 1");
  return Object.fromEntries(rows.map(({ id, count }) => [id, Number(count)]));
}

const isForced = async () => (await test.asSuperuser<{ forced: boolean }>("SELECT relforcerowsecurity AS forced FROM pg_class WHERE oid = 'memseal.tenant_key'::regclass"))[0].forced;

describe("a rotation of the root key", () => {
  it("wraps every living tenant's keys by a new version, which opens what they sealed, with the new version alone", async () => {
    const tenants: UserHash[] = [];
    while (tenants.length < 230) tenants.push(await newTenant());
    const erased = await newTenant();
    await database.withTenant(erased, (tx) => new TenantStore().destroyKeys(tx));
    const blobs: Buffer[] = [];
    for (const tenant of tenants) blobs.push(seal(Buffer.from("x"), (await newKeys().forSealing(tenant, 0, 1)).keyring, place(tenant)));
    expect(await rotate()).toEqual({ version: 2, id: idOf(2), isNew: true, rewrapped: 460, unopened: 0 });
    expect(await wrappedBy()).toEqual({ [idOf(2)!]: 460 });
    // A release that knows of one version works with the newest one's file.
    const alone = newKeys(soleRootKey(new FileProvider(loadSecret(`${file}.v2`))));
    for (const [i, tenant] of tenants.entries()) expect(open(blobs[i], (await alone.get(tenant, 0)).keyring, place(tenant)).toString()).toBe("x");
    expect((await listRootKeys(test.urls.owner)).map(({ version, rotatedAt, destroyedAt }) => [version, rotatedAt !== null, destroyedAt])).toEqual([[2, true, null], [1, true, null]]);
    expect(await rotate()).toMatchObject({ version: 3, isNew: true, rewrapped: 460 });
  });

  it("is seen by a process that runs: it opens what was rewrapped, and wraps by the new version from then on", async () => {
    const [before, keys] = [await newTenant(), newKeys()];
    await rotate();
    await keys.get(before, 0);
    await newTenant(keys);
    expect(await wrappedBy()).toEqual({ [idOf(2)!]: 4 });
  });

  it("that was prepared wraps nothing until it goes on, and makes no third version then", async () => {
    await newTenant();
    expect(await rotate("prepare")).toMatchObject({ version: 2, isNew: true, rewrapped: 0 });
    expect(await rotate("prepare")).toMatchObject({ version: 2, isNew: false });
    expect(await wrappedBy()).toEqual({ [idOf(1)!]: 2 });
    expect(await rotate()).toMatchObject({ version: 2, isNew: false, rewrapped: 2 });
  });

  it("resumed makes no version, and takes along what a process without the new one wrapped meanwhile", async () => {
    const old = soleRootKey(new FileProvider(loadSecret(file)));
    await rotate();
    await newTenant(newKeys(old));
    expect(await rotate("resume")).toMatchObject({ version: 2, isNew: false, rewrapped: 2 });
    expect(await rotate("resume")).toMatchObject({ rewrapped: 0 });
  });

  it("leaves a key that does not open as it is, says so, and is not finished", async () => {
    const [whole, broken] = [await newTenant(), await newTenant()];
    await test.asSuperuser("UPDATE memseal.tenant_key SET wrapped = $2 WHERE user_hash = $1 AND purpose = 'seal'", [Buffer.from(broken, "hex"), randomBytes(60)]);
    expect(await rotate()).toMatchObject({ version: 2, rewrapped: 3, unopened: 1 });
    await newKeys().get(whole, 0);
    expect(await rotate()).toMatchObject({ version: 2, isNew: false, unopened: 1 });
  });

  it("runs once at a time", async () => {
    await withClient(test.urls.owner, async (client) => {
      await client.query("SELECT pg_advisory_lock(8245931988547369331)");
      await expect(rotate()).rejects.toMatchObject({ code: "failed_precondition", message: expect.stringContaining("another rotation") as string });
    });
  });

  it("refuses files that are not this database's", async () => {
    await newTenant();
    await rotate();
    copyFileSync(`${file}.v2`, join(dir, "kept"));
    rmSync(`${file}.v2`);
    await expect(rotate()).rejects.toThrow(`root key version 2 of this database is not beside ${file}`);
    writeFileSync(`${file}.v2`, randomBytes(32), { mode: 0o600 });
    await expect(rotate()).rejects.toThrow("is not version 2 of this database's root key");
    copyFileSync(join(dir, "kept"), `${file}.v2`);
    expect(await rotate("resume")).toMatchObject({ rewrapped: 0 });
  });

  it("authenticates API keys and their chain under the new version, and what was altered under none", async () => {
    const [good, altered] = ["goodgoodgood", "alteredalter"].map((keyId) => ({ keyId, secretHash: randomBytes(32), tenant: parseUserHash("ab".repeat(32)), namespace: "default", scopes: ["read"] }));
    for (const key of [good, altered]) await createApiKey(test.urls.owner, roots.macs(), key);
    await revokeApiKey(test.urls.owner, roots.macs(), (await createOther()).keyId);
    await test.asSuperuser("UPDATE memseal.api_key SET scopes = '{admin}' WHERE key_id = $1", [altered.keyId]);
    // A running service's, from before.
    const running = roots;
    await rotate();
    await destroy(1);
    const alone = FileRootKeys.open(file);
    expect(alone.versions().map(({ version }) => version)).toEqual([2]);
    const authenticity = Object.fromEntries((await listApiKeys(test.urls.owner, alone.macs())).map((key) => [key.keyId, key.authenticity]));
    expect(authenticity).toEqual({ [good.keyId]: "authentic", [altered.keyId]: "altered", otherotherot: "authentic" });
    expect((await listKeyEvents(test.urls.owner, alone.macs())).map(({ isChained }) => isChained)).toEqual([true, true, true, true]);
    const authPool = new pg.Pool({ connectionString: test.urls.auth, max: 1 });
    for (const own of [alone, running]) expect(await new ApiKeyLookup(authPool, () => own.macs(), () => undefined).resolve(good.keyId, good.secretHash)).toMatchObject({ scopes: ["read"] });
    await authPool.end();
    await test.asSuperuser("UPDATE memseal.key_event SET action = 'vouch' WHERE n = 2");
    await rotate();
    expect((await listKeyEvents(test.urls.owner, FileRootKeys.open(file).macs())).map(({ isChained }) => isChained)).toEqual([true, false, false, false]);
  });

  async function createOther() {
    const other = { keyId: "otherotherot", secretHash: randomBytes(32), namespace: "default", scopes: ["delegate"] };
    await createApiKey(test.urls.owner, roots.macs(), other);
    return other;
  }
});

describe("the destruction of a root key version", () => {
  it("is refused while a living tenant's key is wrapped by it, and while it wraps", async () => {
    const old = soleRootKey(new FileProvider(loadSecret(file)));
    await newTenant();
    await expect(destroy(1)).rejects.toMatchObject({ code: "failed_precondition", message: expect.stringContaining("is the one that wraps") as string });
    await rotate();
    const late = await newTenant(newKeys(old));
    await expect(destroy(1)).rejects.toMatchObject({ code: "failed_precondition", message: expect.stringContaining("2 tenant keys are still wrapped by root key version 1") as string });
    expect([existsSync(file), await isForced()]).toEqual([true, true]);
    expect((await listRootKeys(test.urls.owner)).map(({ destroyedAt }) => destroyedAt)).toEqual([null, null]);
    await newKeys().get(late, 0);
    await expect(destroy(7)).rejects.toMatchObject({ code: "not_found" });
    await rotate("resume");
    expect(await destroy(1)).toMatchObject({ version: 1, destroyedAt: expect.any(Date) as Date });
    expect([existsSync(file), await isForced()]).toEqual([false, true]);
  });

  it("records its date once, and ends what was killed between the file and the record", async () => {
    await newTenant();
    await rotate();
    rmSync(file);
    const { destroyedAt } = await destroy(1);
    expect(await destroy(1)).toMatchObject({ destroyedAt });
    // A copy that somebody put back.
    writeFileSync(file, randomBytes(32), { mode: 0o600 });
    await expect(rotate()).rejects.toThrow();
  });

  it("leaves a restored key that it had wrapped unopened, to every process", async () => {
    const tenant = await newTenant();
    const running = newKeys();
    const rows = () => test.asSuperuser<{ row: string }>("SELECT to_jsonb(k)::text AS row FROM memseal.tenant_key AS k WHERE user_hash = $1", [Buffer.from(tenant, "hex")]);
    const backup = await rows();
    await rotate();
    const restore = async () => {
      await test.asSuperuser("DELETE FROM memseal.tenant_key WHERE user_hash = $1", [Buffer.from(tenant, "hex")]);
      for (const { row } of backup) await test.asSuperuser("INSERT INTO memseal.tenant_key SELECT * FROM jsonb_populate_record(NULL::memseal.tenant_key, $1)", [row]);
    };
    // Without the destruction it does open: that is what the receipt's second date is for.
    await restore();
    await newKeys().get(tenant, 0);
    await rotate("resume");
    await destroy(1);
    await restore();
    for (const keys of [running, newKeys(), newKeys(FileRootKeys.open(file))]) await expect(keys.get(tenant, 0)).rejects.toMatchObject({ code: "data_loss" });
    // Nor by the other version, under whose id it is put.
    await test.asSuperuser("UPDATE memseal.tenant_key SET root_key_id = $1", [idOf(2)]);
    await expect(newKeys().get(tenant, 0)).rejects.toThrow(OpenError);
  });

  it("lets no process wrap by it any more, also one that was about to when it was destroyed", async () => {
    const old = newKeys(soleRootKey(new FileProvider(loadSecret(file))));
    await newTenant();
    await rotate();
    const outcomes = await Promise.all([
      ...Array.from({ length: 12 }, () => newTenant(old).then(() => "wrapped", () => "refused")),
      destroy(1).then(() => "destroyed", () => "kept"),
    ]);
    const isDestroyed = outcomes.includes("destroyed");
    const wrapped = (await test.asSuperuser("SELECT FROM memseal.tenant_key AS k JOIN memseal.root_key AS r USING (root_key_id) WHERE r.version = 1")).length;
    // Whichever came first.
    expect(isDestroyed ? wrapped : 0).toBe(0);
    if (!isDestroyed) {
      await rotate("resume");
      await destroy(1);
    }
    await expect(newTenant(old)).rejects.toThrow();
  });
});
