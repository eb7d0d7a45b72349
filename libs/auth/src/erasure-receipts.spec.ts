import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseUserHash } from "@memseal/crypto";
import { createLocalJWKSet, jwtVerify, SignJWT, type JSONWebKeySet } from "jose";
import { receiptKeySet, ReceiptSigner, verifyReceipt, type ErasureClaims } from "./erasure-receipts.js";
import { AssertionSigner, generateAssertionKeys } from "./tenant-assertion.js";
import { UserTokens } from "./user-tokens.js";

const [alice, bob] = ["ab", "cd"].map((byte) => parseUserHash(byte.repeat(32)));
const claims: ErasureClaims = { id: "0190", tenant: alice, erasedAt: "2026-11-27T00:00:00.000Z", memories: 3, bytes: 99, rootKeys: [{ id: "r1", version: 1 }] };

let dir: string;
let signer: ReceiptSigner;
let keys: JSONWebKeySet;
let privateKeyFile: string;

const write = (name: string, text: string) => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return join(dir, name);
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "memseal-receipts-"));
  const pair = generateAssertionKeys();
  privateKeyFile = write("receipt.key", pair.privateKey);
  signer = ReceiptSigner.load(privateKeyFile);
  keys = await receiptKeySet([write("receipt.pub", pair.publicKey)]);
});
afterAll(() => { rmSync(dir, { recursive: true }); });

describe("a receipt", () => {
  it("says what was erased and both dates, to whoever has the public key and jose alone", async () => {
    const { payload, protectedHeader } = await jwtVerify(await signer.sign(claims), createLocalJWKSet(keys), { algorithms: ["EdDSA"], typ: "memseal-erasure+jwt", issuer: "memseal", subject: alice });
    expect(payload).toEqual({
      iss: "memseal", sub: alice, jti: "0190", erased_at: claims.erasedAt, erased: { memories: 3, bytes: 99 }, root_keys: [{ id: "r1", version: 1 }], backups_unreadable_at: null,
    });
    expect(protectedHeader.kid).toBe(keys.keys[0].kid);
    const known = { ...claims, backupsUnreadableAt: "2026-12-01T00:00:00.000Z" };
    expect(await verifyReceipt(await signer.sign(known), keys, alice)).toMatchObject({ backups_unreadable_at: known.backupsUnreadableAt });
  });

  it("is the same for the same claims", async () => {
    expect(await signer.sign(claims)).toBe(await signer.sign(claims));
  });

  it("that was altered in any part is refused", async () => {
    const signed = await signer.sign(claims);
    const [header, payload, signature] = signed.split(".");
    const other = (await signer.sign({ ...claims, memories: 4 })).split(".");
    for (const altered of [`${header}.${other[1]}.${signature}`, `${header}.${payload}.${other[2]}`, `${header}.${payload}.`, `${Buffer.from('{"alg":"none","typ":"memseal-erasure+jwt"}').toString("base64url")}.${payload}.`, payload, ""]) {
      await expect(verifyReceipt(altered, keys, alice)).rejects.toMatchObject({ code: "unauthenticated" });
    }
    for (let i = 0; i < signed.length; i++) {
      // Of the last sextet two bits are of no byte.
      if (signed[i] === "." || i === signed.length - 1) continue;
      const flipped = `${signed.slice(0, i)}${signed[i] === "A" ? "B" : "A"}${signed.slice(i + 1)}`;
      await expect(verifyReceipt(flipped, keys, alice)).rejects.toMatchObject({ code: "unauthenticated" });
    }
  });

  it("of another user is refused", async () => {
    await expect(verifyReceipt(await signer.sign({ ...claims, tenant: bob }), keys, alice)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("of another key is refused, also under this one's id", async () => {
    const stranger = generateAssertionKeys();
    await expect(verifyReceipt(await ReceiptSigner.load(write("stranger.key", stranger.privateKey)).sign(claims), keys, alice)).rejects.toMatchObject({ code: "unauthenticated" });
    const forged = await new SignJWT({}).setProtectedHeader({ alg: "EdDSA", kid: keys.keys[0].kid, typ: "memseal-erasure+jwt" }).setIssuer("memseal").setSubject(alice).setJti("x")
      .sign(generateKeyPairSync("ed25519").privateKey);
    await expect(verifyReceipt(forged, keys, alice)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("is neither a token nor an assertion, nor one of those a receipt, even where one key signs them all", async () => {
    const tokens = UserTokens.load(privateKeyFile);
    const receipt = await signer.sign(claims);
    expect(UserTokens.claims(receipt)).toBe(false);
    await expect(tokens.verify(receipt)).rejects.toMatchObject({ code: "unauthenticated" });
    const { token } = await tokens.sign({ tenant: alice, namespace: "n", scopes: ["admin"], keyId: "k" }, 60);
    const assertion = await AssertionSigner.load(privateKeyFile).sign({ tenant: alice, actor: "a", scopes: [], method: "admin" });
    for (const one of [token, assertion]) await expect(verifyReceipt(one, keys, alice)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("is verified with public keys alone", async () => {
    await expect(receiptKeySet([privateKeyFile])).rejects.toThrow(`receipt key file ${privateKeyFile} holds a private key`);
    expect(Object.keys(keys.keys[0]).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x"]);
  });
});
