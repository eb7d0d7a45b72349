import { randomBytes } from "node:crypto";
import { encodeVector, IndexerServiceService as Indexer } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { createApiKey } from "@memseal/storage";
import { unary } from "@memseal/transport";
import { freePort } from "@memseal/transport/testing";
import { createIndexerWorld, newTenant, type IndexerWorld, type RunningIndexer } from "./start-indexer.js";

let world: IndexerWorld;
let indexer: RunningIndexer;
let metrics: string;

beforeAll(async () => {
  world = await createIndexerWorld();
  metrics = `127.0.0.1:${await freePort()}`;
  indexer = await world.start({ MEMSEAL_METRICS_ADDRESS: metrics });
});

afterAll(async () => {
  await indexer.process.kill("SIGTERM");
  await world.database.stop();
});

/** The security counters of the process, but those at 0. */
async function counted(): Promise<string[]> {
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  return [...text.matchAll(/^memseal_(cross_tenant_\w+|integrity_failures|api_keys_refused)_total\{(?:\w+="(\w+)",)?track="stable"\} ([1-9]\d*)$/gm)]
    .map(([, name, why, value]) => [name, why, value].filter((one) => one !== undefined).join(" "));
}

/** What `work` adds to the counters. */
async function adds(work: () => Promise<unknown>): Promise<string[]> {
  const before = await counted();
  await work();
  return (await counted()).filter((one) => !before.includes(one));
}

const put = (tenant: UserHash, text = "She is allergic to walnuts") => indexer.call(Indexer.put, "write", tenant, {
  memories: [{ text, tags: [], metadata: undefined, occurredAt: undefined, chunks: [{ start: 0, end: text.length, vector: encodeVector(Float32Array.of(1, 0)) }] }],
  model: "test",
});

describe("a running indexer", () => {
  it("counts nothing of ordinary use, an absent id and an unknown key among it", async () => {
    const tenant = newTenant();
    expect(await adds(async () => {
      await put(tenant);
      await expect(indexer.call(Indexer.get, "read", newTenant(), { id: (await put(tenant)).results[0].id })).rejects.toMatchObject({ code: "not_found" });
      await expect(unary(indexer.client, Indexer.resolveKey, { keyId: "nobody", secretHash: randomBytes(32) }, { peer: "indexer", deadlineMs: Date.now() + 5_000 })).rejects.toMatchObject({ code: "not_found" });
    })).toEqual([]);
  });

  it("counts an assertion that does not hold", async () => {
    expect(await adds(() => expect(indexer.call(Indexer.get, "write", newTenant(), { id: "0190a5d0-0000-7000-8000-000000000000" })).rejects.toMatchObject({ code: "unauthenticated" })))
      .toEqual(["cross_tenant_refused assertion 1"]);
  });

  it("counts a sealed row that does not open, once", async () => {
    const tenant = newTenant();
    const [{ id }] = (await put(tenant)).results;
    await world.database.asSuperuser("UPDATE memseal.memory SET text_cipher = set_byte(text_cipher, 40, get_byte(text_cipher, 40) # 1) WHERE id = $1", [id]);
    const search = () => indexer.call(Indexer.search, "read", tenant, { query: "walnuts", filters: undefined, candidates: 5 });
    expect(await adds(async () => { await search(); await search(); })).toEqual(["integrity_failures 1"]);
  });

  it.each([["altered", "revoked_at = NULL, expires_at = now() + interval '1 year'"], ["unauthenticated", "mac = NULL"]])("counts an API key whose row is %s", async (reason, change) => {
    const [keyId, secretHash] = [`${reason}xxxx`.slice(0, 12), randomBytes(32)];
    await createApiKey(world.database.urls.owner, world.keyMacs, { keyId, secretHash, tenant: newTenant(), namespace: "default", scopes: ["read"] });
    await world.database.asSuperuser(`UPDATE memseal.api_key SET ${change} WHERE key_id = $1`, [keyId]);
    const resolve = () => unary(indexer.client, Indexer.resolveKey, { keyId, secretHash }, { peer: "indexer", deadlineMs: Date.now() + 5_000 });
    expect(await adds(() => expect(resolve()).rejects.toMatchObject({ code: "not_found" }))).toEqual([`api_keys_refused ${reason} 1`]);
  });

  it("counts a statement that the database refuses", async () => {
    const tenant = newTenant();
    await put(tenant);
    await world.database.asSuperuser("REVOKE INSERT ON memseal.memory FROM memseal_app");
    try {
      expect(await adds(() => expect(put(tenant, "The bike is in the garage")).rejects.toMatchObject({ code: "internal" }))).toEqual(["cross_tenant_refused row_security 1"]);
    } finally {
      await world.database.asSuperuser("GRANT INSERT ON memseal.memory TO memseal_app");
    }
  });

  it("counts a row of another tenant that came back", async () => {
    // Somebody who owns the database took row security away, and rows become another's while they are written.
    await world.database.asSuperuser("ALTER TABLE memseal.tenant DISABLE ROW LEVEL SECURITY");
    await world.database.asSuperuser(`CREATE FUNCTION memseal.to_another() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN NEW.user_hash := set_byte(NEW.user_hash, 0, get_byte(NEW.user_hash, 0) # 1); RETURN NEW; END $$`);
    await world.database.asSuperuser("CREATE TRIGGER to_another BEFORE INSERT ON memseal.tenant FOR EACH ROW EXECUTE FUNCTION memseal.to_another()");
    expect(await adds(() => expect(put(newTenant())).rejects.toMatchObject({ code: "internal" }))).toEqual(["cross_tenant_reached row_security 1"]);
  });
});
