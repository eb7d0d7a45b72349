import { createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateAssertionKeys, receiptKeySet, ReceiptSigner, verifyReceipt } from "@memseal/auth";
import { fromTimestamp } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { soleRootKey } from "@memseal/keys";
import { ErasureStore } from "@memseal/storage";
import { ErasureReceipts } from "./erasure-receipts.js";
import { newTenant, notes, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";

let test: IndexerTest;
let indexer: TestIndexer;
let dir: string;
let signer: ReceiptSigner;
let keys: Awaited<ReturnType<typeof receiptKeySet>>;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
  dir = mkdtempSync(join(tmpdir(), "memseal-receipts-"));
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  const { privateKey } = generateAssertionKeys();
  signer = ReceiptSigner.load(write("receipt.key", privateKey));
  keys = await receiptKeySet([write("receipt.pub", createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString())]);
});
afterAll(async () => {
  rmSync(dir, { recursive: true });
  await test.stop();
});

const never = () => Promise.reject(new Error("never called"));
/** As of an indexer that holds no version that was ever recorded here. */
const receipts = () => new ErasureReceipts(test.database, new ErasureStore(), soleRootKey({ provider: "file", id: "none", wrap: never, unwrap: never, health: never }), signer);

/** Of three memories, with their keys wrapped by `rootKeyId`. */
async function erased(rootKeyId?: string): Promise<{ tenant: UserHash; id: string }> {
  const tenant = newTenant();
  await indexer.add(tenant, notes(3));
  if (rootKeyId !== undefined) await test.rowsOf(tenant, "UPDATE memseal.tenant_key SET root_key_id = $2 WHERE user_hash = $1", rootKeyId);
  const { answer } = await indexer.erasure.erase(indexer.callOf(tenant));
  expect(answer).toMatchObject({ memories: 3, signed: "" });
  return { tenant, id: answer.id };
}

const record = (version: number, id: string, destroyedAt: string | null) =>
  test.rowsOf(newTenant(), "INSERT INTO memseal.root_key SELECT $2, 'file', $3, now(), now(), $4 WHERE $1::bytea IS NOT NULL", version, id, destroyedAt);
const destroy = (version: number, at: string) => test.rowsOf(newTenant(), "UPDATE memseal.root_key SET destroyed_at = $3 WHERE version = $2 AND $1::bytea IS NOT NULL", version, at);

describe("the receipt of an erasure", () => {
  it("is signed for its tenant, outlives the keys and the rows, and is no other tenant's", async () => {
    const { tenant, id } = await erased();
    const receipt = await receipts().get(tenant, id);
    expect(await verifyReceipt(receipt.signed, keys, tenant)).toMatchObject({ jti: id, sub: tenant, erased: { memories: 3, bytes: Number(receipt.bytes) }, backups_unreadable_at: null });
    await expect(verifyReceipt(receipt.signed, keys, newTenant())).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(receipts().get(newTenant(), id)).rejects.toMatchObject({ code: "not_found" });
    expect(receipt.bytes).toBeGreaterThan(0n);
    expect(await indexer.receipts.get(tenant, id)).toMatchObject({ rootKeys: [{ version: 1, id: receipt.rootKeyId }] });
  });

  it("gives the second date once every version that may have wrapped the keys is destroyed, those of before a rotation, too", async () => {
    const [first, second] = ["2027-01-01T00:00:00.000Z", "2027-02-01T00:00:00.000Z"];
    await record(1, "r0", "2025-01-01T00:00:00.000Z");
    await record(2, "r1", null);
    await record(3, "r2", null);
    await record(4, "r3", null);
    const { tenant, id } = await erased("r2");
    const dateOf = async (by = receipts()) => {
      const { backupsUnreadableAt, rootKeys } = await by.get(tenant, id);
      return [rootKeys.map((root) => root.id).join(), backupsUnreadableAt && fromTimestamp(backupsUnreadableAt, "at").toISOString()];
    };
    // Neither what was destroyed before, nor what has not wrapped yet.
    expect(await dateOf()).toEqual(["r1,r2", undefined]);
    await destroy(3, second);
    expect(await dateOf()).toEqual(["r1,r2", undefined]);
    await destroy(2, first);
    expect(await dateOf()).toEqual(["r1,r2", second]);
    expect(await verifyReceipt((await receipts().get(tenant, id)).signed, keys, tenant)).toMatchObject({ backups_unreadable_at: second, root_keys: [{ version: 2, destroyed_at: first }, { version: 3 }] });
  });

  it("does not call a version destroyed that this process holds", async () => {
    const { tenant, id } = await erased();
    const { rootKeyId } = await receipts().get(tenant, id);
    await record(9, rootKeyId, "2027-01-01T00:00:00.000Z");
    expect(await receipts().get(tenant, id)).toHaveProperty("backupsUnreadableAt.seconds");
    expect((await indexer.receipts.get(tenant, id)).backupsUnreadableAt).toBeUndefined();
  });
});
