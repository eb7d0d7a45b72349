import { randomBytes } from "node:crypto";
import { parseUserHash, SecretBytes } from "@memseal/crypto";
import { ApiKeyMacs } from "@memseal/keys";
import { Logger } from "@memseal/telemetry";
import type pg from "pg";
import { ApiKeyLookup, createApiKey, listApiKeys, listKeyEvents, revokeApiKey, vouchForApiKeys } from "./api-key-store.js";
import { migrateDown, migrateUp } from "./migrate.js";
import { createPool } from "./pool.js";
import { testServers, withClient, type TestDatabase } from "./testing.js";

const macs = new ApiKeyMacs(SecretBytes.of(randomBytes(32)));
const tenant = parseUserHash("aa".repeat(32));
const victim = Buffer.alloc(32, 0xbb);
const DAY_MS = 86_400_000;

for (const { name, start } of testServers()) {
  (start === undefined ? describe.skip : describe)(`API keys on ${name}`, () => {
    let test: TestDatabase;
    let pool: pg.Pool;
    let refused: string[];
    beforeAll(async () => {
      test = await start!();
      pool = createPool(test.urls.auth, new Logger("test", () => undefined), 2);
    });
    afterAll(async () => {
      await pool.end();
      await test.stop();
    });
    beforeEach(async () => {
      refused = [];
      await test.asSuperuser("TRUNCATE memseal.api_key, memseal.key_event");
    });

    const lookup = (own = macs) => new ApiKeyLookup(pool, () => own, (keyId, reason) => refused.push(`${keyId} ${reason}`));
    const newId = () => randomBytes(6).toString("hex");

    /** A key of the tenant, that ends in a day. */
    async function make(change: Partial<Parameters<typeof createApiKey>[2]> = {}): Promise<{ keyId: string; secretHash: Buffer }> {
      const key = { keyId: newId(), secretHash: randomBytes(32) };
      await createApiKey(test.urls.owner, macs, { ...key, tenant, namespace: "shop", scopes: ["read"], expiresAt: new Date(Date.now() + DAY_MS), ...change });
      return key;
    }
    const resolve = ({ keyId, secretHash }: { keyId: string; secretHash: Buffer }) => lookup().resolve(keyId, secretHash);
    const authentic = { tenant: Buffer.from(tenant, "hex"), namespace: "shop", scopes: ["read"] };

    it("resolve as they were made", async () => {
      expect(await resolve(await make())).toEqual(authentic);
      expect(await resolve(await make({ tenant: undefined, scopes: ["read", "delegate"], expiresAt: undefined }))).toEqual({ tenant: null, namespace: "shop", scopes: ["read", "delegate"] });
      expect(refused).toEqual([]);
    });

    it.each([
      ["user_hash", "user_hash = $2", [victim]],
      ["user_hash taken away", "user_hash = NULL", []],
      ["namespace", "namespace = 'bank'", []],
      ["scopes", "scopes = scopes || ARRAY['admin']", []],
      ["scopes that are no list of texts", "scopes = ARRAY[ARRAY['read']]", []],
      ["created_at", "created_at = created_at + interval '1 microsecond'", []],
      ["expires_at", "expires_at = expires_at + interval '1 microsecond'", []],
      ["expires_at taken away", "expires_at = NULL", []],
      ["expires_at that never comes", "expires_at = 'infinity'", []],
      ["mac", "mac = set_byte(mac, 31, get_byte(mac, 31) # 1)", []],
    ])("refuse a row whose %s was altered, as if there were none", async (_column, set, parameters: unknown[]) => {
      const key = await make();
      await test.asSuperuser(`UPDATE memseal.api_key SET ${set} WHERE key_id = $1`, [key.keyId, ...parameters]);
      expect(await resolve(key)).toBeUndefined();
      expect(refused).toEqual([`${key.keyId} altered`]);
      expect(await listApiKeys(test.urls.owner, macs)).toMatchObject([{ keyId: key.keyId, authenticity: "altered" }]);
    });

    it("refuse a secret that was put in another's place", async () => {
      const [key, mine] = [await make(), randomBytes(32)];
      await test.asSuperuser("UPDATE memseal.api_key SET secret_hash = $2 WHERE key_id = $1", [key.keyId, mine]);
      expect(await resolve({ ...key, secretHash: mine })).toBeUndefined();
      expect(refused).toEqual([`${key.keyId} altered`]);
    });

    it("refuse a row that was moved or copied to another id, or that has another key's MAC", async () => {
      const [moved, copied, other] = [await make(), await make(), await make()];
      const ids = { moved: newId(), copy: newId() };
      await test.asSuperuser("UPDATE memseal.api_key SET key_id = $2 WHERE key_id = $1", [moved.keyId, ids.moved]);
      await test.asSuperuser("INSERT INTO memseal.api_key SELECT $2, secret_hash, user_hash, namespace, scopes, created_at, expires_at, revoked_at, mac FROM memseal.api_key WHERE key_id = $1", [copied.keyId, ids.copy]);
      await test.asSuperuser("UPDATE memseal.api_key SET mac = (SELECT mac FROM memseal.api_key WHERE key_id = $2) WHERE key_id = $1", [other.keyId, copied.keyId]);
      expect(await resolve({ ...moved, keyId: ids.moved })).toBeUndefined();
      expect(await resolve({ ...copied, keyId: ids.copy })).toBeUndefined();
      expect(await resolve(other)).toBeUndefined();
      expect(refused).toEqual([`${ids.moved} altered`, `${ids.copy} altered`, `${other.keyId} altered`]);
      expect(await resolve(copied)).toEqual(authentic);
    });

    it("refuse a key whose revocation was taken back", async () => {
      const key = await make();
      const revokedAt = await revokeApiKey(test.urls.owner, macs, key.keyId);
      expect(await resolve(key)).toBeUndefined();
      expect(refused).toEqual([]);
      expect(await revokeApiKey(test.urls.owner, macs, key.keyId)).toEqual(revokedAt);
      await test.asSuperuser("UPDATE memseal.api_key SET revoked_at = NULL");
      expect(await resolve(key)).toBeUndefined();
      expect(refused).toEqual([`${key.keyId} altered`]);
    });

    it("stay revoked where their row was altered before", async () => {
      const key = await make();
      await test.asSuperuser("UPDATE memseal.api_key SET user_hash = $1", [victim]);
      await revokeApiKey(test.urls.owner, macs, key.keyId);
      expect(await resolve(key)).toBeUndefined();
      await test.asSuperuser("UPDATE memseal.api_key SET revoked_at = NULL");
      expect(await resolve(key)).toBeUndefined();
    });

    it("refuse a revoked and an expired key also where the lookup in the database no longer does", async () => {
      const [revoked, ended] = [await make(), await make({ expiresAt: new Date(Date.now() - 1_000) })];
      await revokeApiKey(test.urls.owner, macs, revoked.keyId);
      const [{ made }] = await test.asSuperuser<{ made: string }>("SELECT pg_get_functiondef('memseal.resolve_api_key(text, bytea)'::regprocedure) AS made");
      await test.asSuperuser(made.replace(/AND k\.revoked_at[^$]*/, ""));
      try {
        const { rowCount } = await pool.query("SELECT FROM memseal.resolve_api_key($1, $2)", [revoked.keyId, revoked.secretHash]);
        expect(rowCount).toBe(1);
        for (const key of [revoked, ended]) expect(await resolve(key)).toBeUndefined();
        expect(refused).toEqual([]);
      } finally {
        await test.asSuperuser(made);
      }
    });

    it("refuse a row that nobody authenticated, also where its MAC was taken away", async () => {
      const [key, stripped] = [{ keyId: newId(), secretHash: randomBytes(32) }, await make()];
      await test.asSuperuser("INSERT INTO memseal.api_key (key_id, secret_hash, user_hash, namespace, scopes) VALUES ($1, $2, $3, 'shop', '{read}')", [key.keyId, key.secretHash, victim]);
      await test.asSuperuser("UPDATE memseal.api_key SET mac = NULL WHERE key_id = $1", [stripped.keyId]);
      for (const one of [key, stripped]) expect(await resolve(one)).toBeUndefined();
      expect(refused).toEqual([`${key.keyId} unauthenticated`, `${stripped.keyId} unauthenticated`]);
    });

    it("refuse every key under another root key", async () => {
      const key = await make();
      expect(await lookup(new ApiKeyMacs(SecretBytes.of(randomBytes(32)))).resolve(key.keyId, key.secretHash)).toBeUndefined();
      expect(refused).toEqual([`${key.keyId} altered`]);
    });

    // What no MAC of a row can show; the threat model says so.
    it("resolve again where a whole row was put back as it was before its revocation", async () => {
      const key = await make();
      await test.asSuperuser("CREATE TABLE public.backup AS SELECT * FROM memseal.api_key");
      await revokeApiKey(test.urls.owner, macs, key.keyId);
      await test.asSuperuser("DELETE FROM memseal.api_key; INSERT INTO memseal.api_key SELECT * FROM public.backup; DROP TABLE public.backup");
      expect(await resolve(key)).toEqual(authentic);
    });

    describe("of a release that made no MACs", () => {
      const old = () => ({ keyId: newId(), secretHash: randomBytes(32) });
      /** As that release wrote it. */
      const writeOld = ({ keyId, secretHash }: { keyId: string; secretHash: Buffer }) => withClient(test.urls.owner, async (client) => {
        await client.query("SET ROLE memseal_keys");
        await client.query("INSERT INTO memseal.api_key (key_id, secret_hash, user_hash, namespace, scopes) VALUES ($1, $2, $3, $4, $5)", [keyId, secretHash, Buffer.from(tenant, "hex"), "shop", ["read"]]);
      });

      it("are there after the way up, and resolve once somebody vouched for them", async () => {
        const [before, after] = [old(), old()];
        await migrateDown(test.urls.owner, { to: 2 });
        await writeOld(before);
        await migrateUp(test.urls.owner);
        await writeOld(after);
        for (const key of [before, after]) expect(await resolve(key)).toBeUndefined();
        expect(refused).toEqual([`${before.keyId} unauthenticated`, `${after.keyId} unauthenticated`]);

        expect(await vouchForApiKeys(test.urls.owner, macs, [before.keyId])).toEqual([before.keyId]);
        expect(await resolve(before)).toEqual(authentic);
        expect(await resolve(after)).toBeUndefined();
        expect(await vouchForApiKeys(test.urls.owner, macs, "all")).toEqual([after.keyId]);
        expect(await resolve(after)).toEqual(authentic);
        expect(await vouchForApiKeys(test.urls.owner, macs, "all")).toEqual([]);
      });

      it("are vouched for and none else: a row with a wrong MAC keeps it", async () => {
        const key = await make();
        await test.asSuperuser("UPDATE memseal.api_key SET user_hash = $1", [victim]);
        expect(await vouchForApiKeys(test.urls.owner, macs, "all")).toEqual([]);
        expect(await vouchForApiKeys(test.urls.owner, macs, [key.keyId])).toEqual([]);
        expect(await resolve(key)).toBeUndefined();
      });

      it("resolve for that release also from a row that this one made", async () => {
        const { keyId, secretHash } = await make();
        const { rows } = await pool.query("SELECT user_hash, namespace, scopes FROM memseal.resolve_api_key($1, $2)", [keyId, secretHash]);
        expect(rows).toEqual([{ user_hash: Buffer.from(tenant, "hex"), namespace: "shop", scopes: ["read"] }]);
      });
    });

    describe("what was done to them", () => {
      const history = async () => (await listKeyEvents(test.urls.owner, macs)).map(({ n, action, keyId, isChained }) => `${n} ${action} ${keyId}${isChained ? "" : " broken"}`);

      it("is in one chain, each thing once, in the transaction that did it", async () => {
        const key = await make();
        await createApiKey(test.urls.owner, macs, { ...key, tenant, namespace: "shop", scopes: ["read"] });
        await expect(createApiKey(test.urls.owner, macs, { ...key, secretHash: randomBytes(32), namespace: "shop", scopes: ["read"] })).rejects.toMatchObject({ code: "already_exists" });
        await revokeApiKey(test.urls.owner, macs, key.keyId);
        await revokeApiKey(test.urls.owner, macs, key.keyId);
        expect(await revokeApiKey(test.urls.owner, macs, newId())).toBeUndefined();
        expect(await history()).toEqual([`1 create ${key.keyId}`, `2 revoke ${key.keyId}`]);

        await test.asSuperuser("ALTER TABLE memseal.key_event ADD CONSTRAINT closed CHECK (n < 3)");
        await expect(make()).rejects.toThrow("closed");
        await test.asSuperuser("ALTER TABLE memseal.key_event DROP CONSTRAINT closed");
        expect(await listApiKeys(test.urls.owner, macs)).toHaveLength(1);
      });

      it("continues one another when many are made at once", async () => {
        const made = await Promise.all(Array.from({ length: 6 }, () => make()));
        const seen = await history();
        expect(seen.map((line) => line.split(" ")[2]).sort()).toEqual(made.map(({ keyId }) => keyId).sort());
        expect(seen.filter((line) => line.endsWith("broken"))).toEqual([]);
      });

      it.each([
        ["altered", "UPDATE memseal.key_event SET key_id = 'aaaaaaaaaaaa' WHERE n = 2", 2],
        ["moved in time", "UPDATE memseal.key_event SET at = at - interval '1 microsecond' WHERE n = 2", 2],
        ["left out", "DELETE FROM memseal.key_event WHERE n = 2; UPDATE memseal.key_event SET n = n - 1 WHERE n > 2", 2],
        ["left out at the beginning", "DELETE FROM memseal.key_event WHERE n = 1", 1],
        ["put between", "UPDATE memseal.key_event SET n = n + 10 WHERE n > 1; INSERT INTO memseal.key_event SELECT 2, at, action, key_id, mac FROM memseal.key_event WHERE n = 1; UPDATE memseal.key_event SET n = n - 9 WHERE n > 2", 2],
      ])("shows an event that was %s", async (_how, sql, from) => {
        for (let i = 0; i < 4; i++) await make();
        await test.asSuperuser(sql);
        const seen = await history();
        expect(seen.findIndex((line) => line.endsWith("broken"))).toBe(from - 1);
      });
    });

    it("say what to do where the schema is too old", async () => {
      await migrateDown(test.urls.owner, { to: 2 });
      await expect(make()).rejects.toThrow("run `memseal migrate up`");
      await migrateUp(test.urls.owner);
    });
  });
}
