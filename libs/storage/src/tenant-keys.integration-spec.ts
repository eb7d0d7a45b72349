import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { FIELD, KeysChangedError, open, OpenError, parseUserHash, seal, SecretBytes, type UserHash } from "@memseal/crypto";
import { UnavailableError } from "@memseal/errors";
import { FileProvider, soleRootKey, TenantKeys, type RootProvider, type TenantKeysOptions, type WrapContext } from "@memseal/keys";
import { Logger } from "@memseal/telemetry";
import type pg from "pg";
import { createPool } from "./pool.js";
import { TenantKeyStore } from "./tenant-key-store.js";
import { TenantStore } from "./tenant-store.js";
import { TenantDatabase } from "./tenant-transaction.js";
import { startTestDatabase, type TestDatabase } from "./testing.js";

/** A real provider whose key can be out of reach. */
class Reachable implements RootProvider {
  readonly provider = this.inner.provider;
  readonly id = this.inner.id;
  isAway = false;
  unwrapped = 0;

  constructor(private readonly inner: RootProvider) {}

  #reach(): void {
    if (this.isAway) throw new UnavailableError("the root key cannot be reached");
  }

  async health(): Promise<void> {
    this.#reach();
    await this.inner.health();
  }

  async wrap(key: Uint8Array, context: WrapContext): Promise<Buffer> {
    this.#reach();
    return this.inner.wrap(key, context);
  }

  async unwrap(wrapped: Buffer, context: WrapContext): Promise<Buffer> {
    this.#reach();
    this.unwrapped++;
    return this.inner.unwrap(wrapped, context);
  }
}

const rootKey = randomBytes(32);
const rowId = Buffer.alloc(16);
let test: TestDatabase;
let pool: pg.Pool;
let database: TenantDatabase;
let root: Reachable;

beforeAll(async () => {
  test = await startTestDatabase();
  pool = createPool(test.urls.app, new Logger("test", () => undefined), 8);
  database = new TenantDatabase(pool);
});
beforeEach(() => { root = new Reachable(new FileProvider(SecretBytes.of(rootKey))); });
afterAll(async () => {
  await pool.end();
  await test.stop();
});

/** As one process has them. */
const newKeys = (options: TenantKeysOptions = {}) => new TenantKeys(new TenantKeyStore(database), soleRootKey(root), options);
const place = (tenant: UserHash) => ({ tenant, rowId, field: FIELD.text, rowVersion: 1 });
const bytesOf = (tenant: UserHash) => Buffer.from(tenant, "hex");

async function newTenant(): Promise<UserHash> {
  const tenant = parseUserHash(randomBytes(32).toString("hex"));
  const keys = await newKeys().wrapFirst(tenant);
  await database.withTenant(tenant, (tx) => new TenantStore().open(tx, keys, { model: "m", dimension: 3, chunker: "c" }));
  return tenant;
}

async function epochOf(tenant: UserHash): Promise<number> {
  return (await test.asSuperuser<{ epoch: number }>("SELECT epoch FROM memseal.tenant WHERE user_hash = $1", [bytesOf(tenant)]))[0].epoch;
}

interface StoredKey { version: number; status: string; kid: Buffer; seals_reserved: string }
const sealKeysOf = (tenant: UserHash) => test.asSuperuser<StoredKey & pg.QueryResultRow>(
  "SELECT version, status, kid, seals_reserved FROM memseal.tenant_key WHERE user_hash = $1 AND purpose = 'seal' ORDER BY version", [bytesOf(tenant)],
);

describe("a tenant's keys", () => {
  it("open in another process what one sealed, and refer to it alike", async () => {
    const tenant = await newTenant();
    const [writer, reader] = [await newKeys().forSealing(tenant, 0, 1), await newKeys().get(tenant, 0)];
    expect(open(seal(Buffer.from("x"), writer.keyring, place(tenant)), reader.keyring, place(tenant)).toString()).toBe("x");
    expect((await writer.referenceKey()).reference("key", "a").equals((await reader.referenceKey()).reference("key", "a"))).toBe(true);
  });

  it("are another tenant's never: not to open, and not to refer", async () => {
    const [alice, bob] = [await newTenant(), await newTenant()];
    const keys = newKeys();
    const blob = seal(Buffer.from("x"), (await keys.forSealing(alice, 0, 1)).keyring, place(alice));
    const bobs = await keys.get(bob, 0);
    expect(() => open(blob, bobs.keyring, place(alice))).toThrow(OpenError);
    expect((await bobs.referenceKey()).reference("key", "a").equals((await (await keys.get(alice, 0)).referenceKey()).reference("key", "a"))).toBe(false);
  });

  it("are unwrapped once however many ask at once", async () => {
    const tenant = await newTenant();
    const keys = newKeys();
    await Promise.all(Array.from({ length: 20 }, () => keys.get(tenant, 0)));
    expect(root.unwrapped).toBe(1);
  });

  it("that were destroyed since their epoch was read are no loss: the call is to be made again", async () => {
    const [erased, lost] = [await newTenant(), await newTenant()];
    await database.withTenant(erased, (tx) => new TenantStore().destroyKeys(tx));
    // Of a row that was read before, and of one that was read after and is not yet taken away.
    for (const epoch of [0, 1]) await expect(newKeys().get(erased, epoch)).rejects.toThrow(KeysChangedError);
    await test.asSuperuser("DELETE FROM memseal.tenant_key WHERE user_hash = $1", [bytesOf(lost)]);
    await expect(newKeys().get(lost, 0)).rejects.toMatchObject({ code: "data_loss" });
  });

  it("have one reference key where there was none, also when two processes make it at once", async () => {
    const tenant = await newTenant();
    await test.asSuperuser("DELETE FROM memseal.tenant_key WHERE user_hash = $1 AND purpose = 'reference'", [bytesOf(tenant)]);
    const references = await Promise.all(Array.from({ length: 6 }, async () => (await (await newKeys().get(tenant, 0)).referenceKey()).reference("run", "r").toString("hex")));
    expect(new Set(references).size).toBe(1);
    expect(await test.asSuperuser("SELECT version FROM memseal.tenant_key WHERE user_hash = $1 AND purpose = 'reference'", [bytesOf(tenant)])).toEqual([{ version: 1 }]);
  });
});

describe("while the root provider is away", () => {
  it("cached tenants work until their time is up, and then fail closed; others fail at once", async () => {
    const [cached, other] = [await newTenant(), await newTenant()];
    const keys = newKeys({ timeToLiveMs: 700 });
    await keys.forSealing(cached, 0, 1);
    root.isAway = true;
    seal(Buffer.from("x"), (await keys.forSealing(cached, 0, 1)).keyring, place(cached));
    await expect(keys.get(other, 0)).rejects.toMatchObject({ code: "unavailable" });
    await expect(keys.wrapFirst(other)).rejects.toMatchObject({ code: "unavailable" });
    await new Promise((resolve) => setTimeout(resolve, 800));
    await expect(keys.get(cached, 0)).rejects.toMatchObject({ code: "unavailable", retryAfterS: 1 });
    root.isAway = false;
    await keys.get(cached, 0);
  });

  it("a reference key that could not be unwrapped is asked for again", async () => {
    const tenant = await newTenant();
    const keys = await newKeys().get(tenant, 0);
    root.isAway = true;
    await expect(keys.referenceKey()).rejects.toMatchObject({ code: "unavailable" });
    root.isAway = false;
    await keys.referenceKey();
  });
});

describe("a raised epoch", () => {
  it("ends the use of keys in every process at its next call, and of whoever still holds them", async () => {
    const tenant = await newTenant();
    const keys = newKeys();
    const before = await keys.get(tenant, 0);
    await test.asSuperuser("UPDATE memseal.tenant SET epoch = epoch + 1 WHERE user_hash = $1", [bytesOf(tenant)]);
    await test.asSuperuser("DELETE FROM memseal.tenant_key WHERE user_hash = $1", [bytesOf(tenant)]);
    await expect(keys.get(tenant, 1)).rejects.toMatchObject({ code: "data_loss" });
    expect(() => seal(Buffer.from("x"), before.keyring, place(tenant))).toThrow(expect.objectContaining({ code: "aborted" }) as Error);
  });
});

describe("an attack on the stored keys", () => {
  const COPY = "kid = s.kid, commitment = s.commitment, wrapped = s.wrapped";

  it("by another tenant's key in their place opens nothing", async () => {
    const [alice, bob] = [await newTenant(), await newTenant()];
    await test.asSuperuser(`UPDATE memseal.tenant_key AS t SET ${COPY} FROM memseal.tenant_key AS s WHERE t.user_hash = $1 AND s.user_hash = $2 AND t.purpose = s.purpose`, [bytesOf(alice), bytesOf(bob)]);
    await expect(newKeys().get(alice, 0)).rejects.toThrow(OpenError);
  });

  it("by the tenant's own key of another purpose opens nothing", async () => {
    const tenant = await newTenant();
    await test.asSuperuser(`UPDATE memseal.tenant_key AS t SET ${COPY} FROM memseal.tenant_key AS s WHERE t.user_hash = $1 AND s.user_hash = $1 AND t.purpose = 'seal' AND s.purpose = 'reference'`, [bytesOf(tenant)]);
    await expect(newKeys().get(tenant, 0)).rejects.toThrow(OpenError);
  });

  it("by the tenant's own key of another version opens nothing", async () => {
    const tenant = await newTenant();
    await test.asSuperuser("UPDATE memseal.tenant_key SET version = 2 WHERE user_hash = $1 AND purpose = 'seal'", [bytesOf(tenant)]);
    await expect(newKeys().get(tenant, 0)).rejects.toThrow(OpenError);
  });

  it("by a commitment of another key opens nothing", async () => {
    const tenant = await newTenant();
    await test.asSuperuser("UPDATE memseal.tenant_key SET commitment = $2 WHERE user_hash = $1", [bytesOf(tenant), randomBytes(32)]);
    await expect(newKeys().get(tenant, 0)).rejects.toThrow(OpenError);
  });

  it.each(["disabled", "destroyed", "pending"])("by a key that is %s opens nothing with it", async (status) => {
    const tenant = await newTenant();
    const limits = { sealBlock: 1, sealLimit: 1 };
    const [older, newer] = [await newKeys(limits).forSealing(tenant, 0, 1), await newKeys(limits).forSealing(tenant, 0, 1)];
    const [blob, later] = [older, newer].map(({ keyring }) => seal(Buffer.from("x"), keyring, place(tenant)));
    const setStatus = (version: number) => test.asSuperuser("UPDATE memseal.tenant_key SET status = $3 WHERE user_hash = $1 AND version = $2 AND purpose = 'seal'", [bytesOf(tenant), version, status]);
    await setStatus(1);
    const { keyring } = await newKeys().get(tenant, 0);
    expect(open(later, keyring, place(tenant)).toString()).toBe("x");
    expect(() => open(blob, keyring, place(tenant))).toThrow(OpenError);
    await setStatus(2);
    await expect(newKeys().get(tenant, await epochOf(tenant))).rejects.toMatchObject({ code: "data_loss" });
  });

  it("by an older version made active again seals with the newest all the same", async () => {
    const tenant = await newTenant();
    await newKeys({ sealBlock: 1, sealLimit: 1 }).forSealing(tenant, 0, 1);
    await newKeys({ sealBlock: 1, sealLimit: 1 }).forSealing(tenant, 0, 1);
    await test.asSuperuser("UPDATE memseal.tenant_key SET status = 'active' WHERE user_hash = $1", [bytesOf(tenant)]);
    expect((await newKeys().get(tenant, 0)).version).toBe(2);
  });

  it("by a root key that is not the installation's is named, and opens nothing", async () => {
    const tenant = await newTenant();
    const other = new TenantKeys(new TenantKeyStore(database), soleRootKey(new FileProvider(SecretBytes.of(randomBytes(32)))));
    await expect(other.get(tenant, 0)).rejects.toMatchObject({ code: "data_loss", message: expect.stringContaining("give it the right one") as string });
  });
});

describe("the count of seals", () => {
  it("is reserved before the first of a block is made, and once a block", async () => {
    const tenant = await newTenant();
    const keys = newKeys({ sealBlock: 100 });
    await keys.forSealing(tenant, 0, 1);
    expect((await sealKeysOf(tenant))[0].seals_reserved).toBe("100");
    await Promise.all(Array.from({ length: 9 }, () => keys.forSealing(tenant, 0, 11)));
    expect((await sealKeysOf(tenant))[0].seals_reserved).toBe("100");
    await keys.forSealing(tenant, 0, 1);
    expect((await sealKeysOf(tenant))[0].seals_reserved).toBe("200");
    await keys.forSealing(tenant, 0, 250);
    expect((await sealKeysOf(tenant))[0].seals_reserved).toBe("450");
  });

  it("fails for the caller alone when it cannot be reserved, and the next one tries again", async () => {
    const tenant = await newTenant();
    const store = new TenantKeyStore(database);
    let isAway = true;
    const reserveSeals: TenantKeyStore["reserveSeals"] = (...reservation) => (isAway ? Promise.reject(new UnavailableError("the database cannot be reached")) : store.reserveSeals(...reservation));
    const keys = new TenantKeys(Object.assign(Object.create(store) as TenantKeyStore, { read: store.read.bind(store), reserveSeals }), soleRootKey(root));
    // A rejection that nobody handles would fail this test.
    await expect(keys.forSealing(tenant, 0, 1)).rejects.toMatchObject({ code: "unavailable" });
    isAway = false;
    await keys.forSealing(tenant, 0, 1);
    expect((await sealKeysOf(tenant))[0].seals_reserved).toBe("65536");
  });

  it("is never less than the seals of all processes together", async () => {
    const tenant = await newTenant();
    const processes = Array.from({ length: 4 }, () => newKeys({ sealBlock: 16 }));
    await Promise.all(processes.flatMap((keys) => Array.from({ length: 50 }, () => keys.forSealing(tenant, 0, 3))));
    const [{ seals_reserved: reserved }] = await sealKeysOf(tenant);
    // No block is shared: 600 seals, and at most what is left of a block and of one that three did not fit in.
    expect(Number(reserved)).toBeGreaterThanOrEqual(600);
    expect(Number(reserved) % 16).toBe(0);
  });

  it("at its limit brings a new version that seals, while the old one goes on opening", async () => {
    const tenant = await newTenant();
    const limits = { sealBlock: 10, sealLimit: 30 };
    const [one, two, reader] = [newKeys(limits), newKeys(limits), newKeys(limits)];
    await reader.get(tenant, 0);
    const blobs: { blob: Buffer; epoch: number }[] = [];
    for (let round = 0; round < 60; round++) {
      await Promise.all([one, two].map(async (keys) => {
        const { keyring, epoch } = await keys.forSealing(tenant, 0, 1);
        try {
          blobs.push({ blob: seal(Buffer.from("x"), keyring, place(tenant)), epoch });
        } catch (error) {
          // The other one rotated meanwhile, and this one was told.
          expect(error).toMatchObject({ code: "aborted" });
        }
      }));
    }
    expect(blobs.length).toBeGreaterThan(100);
    for (const { blob, epoch } of blobs) open(blob, (await reader.get(tenant, epoch)).keyring, place(tenant));
    await expectCountedAndContiguous(tenant, blobs.map(({ blob }) => blob), limits.sealLimit);
    expect(await epochOf(tenant)).toBe((await sealKeysOf(tenant)).length - 1);
  });

  it("and the keys survive kill -9 at any moment, in the middle of a rotation too", async () => {
    const tenant = await newTenant();
    const limits = { sealBlock: 2, sealLimit: 6 };
    const script = new URL("seal-until-killed.fixture.mjs", import.meta.url).pathname;
    const blobs: Buffer[] = [];
    for (let kill = 0; kill < 4; kill++) {
      const child = spawn(process.execPath, ["--conditions=@memseal/source", "--import", "tsx", script, test.urls.app, rootKey.toString("hex"), tenant, String(limits.sealBlock), String(limits.sealLimit)], { stdio: ["ignore", "pipe", "inherit"] });
      let printed = "";
      child.stdout.on("data", (bytes: Buffer) => { printed += bytes.toString(); });
      const closed = once(child, "close");
      // Two rotations at least, however slow the machine is.
      while (printed.split("\n").length <= 14 && child.exitCode === null) await Promise.race([once(child.stdout, "data"), closed]);
      await new Promise((resolve) => setTimeout(resolve, 37 * kill));
      child.kill("SIGKILL");
      await closed;
      expect(child.signalCode).toBe("SIGKILL");
      blobs.push(...printed.split("\n").slice(0, -1).map((line) => Buffer.from(line, "hex")));
    }
    expect(blobs.length).toBeGreaterThan(50);
    const { keyring } = await newKeys().get(tenant, 0);
    for (const blob of blobs) expect(open(blob, keyring, place(tenant)).toString()).toMatch(/^value/);
    await expectCountedAndContiguous(tenant, blobs, limits.sealLimit);
  });

  async function expectCountedAndContiguous(tenant: UserHash, blobs: readonly Buffer[], limit: number): Promise<void> {
    const keys = await sealKeysOf(tenant);
    expect(keys.length).toBeGreaterThan(2);
    expect(keys.map(({ version }) => version)).toEqual(keys.map((_key, i) => i + 1));
    expect(keys.map(({ status }) => status)).toEqual(keys.map((_key, i) => (i === keys.length - 1 ? "active" : "decrypt_only")));
    for (const { kid, seals_reserved: reserved } of keys) {
      const seals = blobs.filter((blob) => blob.subarray(4, 20).equals(kid)).length;
      expect(seals).toBeLessThanOrEqual(Number(reserved));
      expect(Number(reserved)).toBeLessThanOrEqual(limit);
    }
  }
});
