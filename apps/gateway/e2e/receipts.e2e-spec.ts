import { generateKeyPairSync } from "node:crypto";
import { compactVerify, createLocalJWKSet, createRemoteJWKSet, exportJWK, jwtVerify, SignJWT, type JSONWebKeySet } from "jose";
import type { Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

const EVERYTHING = ["read", "write", "admin"];
const OWN = Array.from({ length: 384 }, (_value, i) => (i === 0 ? 1 : 0));

let stack: Stack;
let gateway: Gateway;
beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway();
});
afterAll(() => stack.stop());

type Receipt = Record<string, unknown> & { id: string; signed: string };

async function erased(userId: string): Promise<{ key: string; receipt: Receipt }> {
  const key = await stack.createKey(userId, EVERYTHING);
  await gateway.ask("http", { method: "add", key, json: { memories: ["one", "two"].map((text) => ({ text: `${text} of ${userId}`, vector: OWN })) } });
  return { key, receipt: (await gateway.ask("http", { method: "erase", key })).body as Receipt };
}

const again = async (transport: "http" | "grpc", key: string, id: string) => gateway.ask(transport, { method: "getErasure", key, json: { id } });
const keySet = async () => (await (await gateway.fetch("/.well-known/memseal-receipt-keys.json")).json()) as JSONWebKeySet;
const OF_RECEIPTS = { algorithms: ["EdDSA"], issuer: "memseal", typ: "memseal-erasure+jwt" };

describe("the receipt of an erasure", () => {
  it("is verified with the published keys and jose alone, offline once they are fetched, and says what the answer says", async () => {
    const { receipt } = await erased("zebrafinch");
    const keys = await keySet();
    const { payload } = await jwtVerify(receipt.signed, createLocalJWKSet(keys), OF_RECEIPTS);
    expect(payload).toMatchObject({
      jti: receipt.id, sub: expect.stringMatching(/^[0-9a-f]{64}$/) as string, erased_at: receipt["erased_at"],
      erased: { memories: 2, bytes: receipt["bytes"] }, root_keys: receipt["root_keys"], backups_unreadable_at: null,
    });
    expect(receipt).toMatchObject({ memories: 2, root_keys: [{ version: 1, id: receipt["root_key_id"] }] });
    await compactVerify(receipt.signed, createRemoteJWKSet(new URL(`http://${gateway.http}/.well-known/memseal-receipt-keys.json`)));
    expect(JSON.stringify(payload)).not.toContain("zebrafinch");
  });

  it("that was altered, or that another key signed, is refused", async () => {
    const { receipt } = await erased("bea");
    const keys = createLocalJWKSet(await keySet());
    const [header, payload, signature] = receipt.signed.split(".");
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
    const sooner = Buffer.from(JSON.stringify({ ...claims, backups_unreadable_at: claims["erased_at"] })).toString("base64url");
    await expect(jwtVerify(`${header}.${sooner}.${signature}`, keys, OF_RECEIPTS)).rejects.toThrow("signature verification failed");
    const { kid } = JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string };
    const stranger = generateKeyPairSync("ed25519");
    const forged = await new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", kid, typ: "memseal-erasure+jwt", jwk: await exportJWK(stranger.publicKey) }).sign(stranger.privateKey);
    await expect(jwtVerify(forged, keys, OF_RECEIPTS)).rejects.toThrow("signature verification failed");
  });

  it("is another user's never: not to read, and not to verify as one's own", async () => {
    const [one, other] = [await erased("cleo"), await erased("dora")];
    for (const transport of ["http", "grpc"] as const) {
      expect(await again(transport, other.key, one.receipt.id)).toMatchObject({ code: "not_found", body: { detail: "erasure not found" } });
      expect(await again(transport, one.key, one.receipt.id)).toMatchObject({ code: "ok", body: one.receipt });
    }
    const keys = createLocalJWKSet(await keySet());
    const { payload: { sub = "" } } = await jwtVerify(one.receipt.signed, keys, OF_RECEIPTS);
    await expect(jwtVerify(other.receipt.signed, keys, { ...OF_RECEIPTS, subject: sub })).rejects.toThrow('unexpected "sub" claim value');
  });

  it("gives the second date once every version that may have wrapped the keys is destroyed, and no earlier", async () => {
    const late = await stack.createKey("late", EVERYTHING);
    await gateway.ask("http", { method: "add", key: late, json: { memories: [{ text: "kept", vector: OWN }] } });
    const early = await erased("early");
    await stack.rotateRoot();
    // Rewrapped by the second version since; a backup of before has it wrapped by the first.
    const receipt = (await gateway.ask("grpc", { method: "erase", key: late })).body as Receipt;
    expect(receipt["root_keys"]).toMatchObject([{ version: 1 }, { version: 2 }]);
    expect((await again("http", early.key, early.receipt.id)).body).not.toHaveProperty("backups_unreadable_at");

    await stack.destroyRoot(1);
    const { body } = await again("http", early.key, early.receipt.id);
    expect(body).toMatchObject({ id: early.receipt.id, backups_unreadable_at: expect.any(String) as string, root_keys: [{ version: 1, destroyed_at: body["backups_unreadable_at"] }] });
    const { payload } = await jwtVerify(String(body["signed"]), createLocalJWKSet(await keySet()), OF_RECEIPTS);
    expect(payload["backups_unreadable_at"]).toBe(body["backups_unreadable_at"]);
    expect((await again("http", late, receipt.id)).body).not.toHaveProperty("backups_unreadable_at");

    await stack.rotateRoot();
    await stack.destroyRoot(2);
    expect((await again("grpc", late, receipt.id)).body).toMatchObject({ backups_unreadable_at: expect.any(String) as string });
  });
});
