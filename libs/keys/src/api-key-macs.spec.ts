import { createHmac, hkdfSync } from "node:crypto";
import { SecretBytes } from "@memseal/crypto";
import fc from "fast-check";
import { ApiKeyMacs, type ApiKeyRow } from "./api-key-macs.js";

const rootKey = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7));
const macs = new ApiKeyMacs(SecretBytes.of(rootKey));

const row: ApiKeyRow = {
  keyId: "abcdefghijkl", secretHash: Buffer.alloc(32, 1), userHash: null, namespace: "shop", scopes: ["read", "delegate"],
  createdAt: "1764000000123456", expiresAt: null, revokedAt: null,
};

const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
const times = fc.bigInt({ min: 0n, max: 2n ** 52n }).map(String);
// Short, of few characters: parts that could run into each other.
const text = fc.string({ unit: fc.constantFrom("a", "b", "\0", "1"), maxLength: 4 });
const rows: fc.Arbitrary<ApiKeyRow> = fc.record({
  keyId: text, secretHash: bytes, userHash: fc.option(bytes), namespace: text, scopes: fc.array(text, { maxLength: 3 }),
  createdAt: times, expiresAt: fc.option(times), revokedAt: fc.option(times),
});
const asText = (value: ApiKeyRow): string => JSON.stringify({ ...value, secretHash: [...value.secretHash], userHash: value.userHash && [...value.userHash] });

describe("the MAC of an API key's row", () => {
  it("is HMAC-SHA256 over each part and its length, under a key that HKDF makes of the root key for it alone", () => {
    const key = Buffer.from(hkdfSync("sha256", rootKey, "", "memseal/v1/root/api-key-row", 32));
    const part = (bytesOf: string | Buffer) => Buffer.concat([Buffer.from([1, 0, 0, 0, Buffer.byteLength(bytesOf)]), Buffer.from(bytesOf as string)]);
    const absent = Buffer.of(0);
    const message = Buffer.concat([part("abcdefghijkl"), part(Buffer.alloc(32, 1)), absent, part("shop"), part("1764000000123456"), absent, absent, part("read"), part("delegate")]);
    expect(macs.ofRow(row).equals(createHmac("sha256", key).update(message).digest())).toBe(true);
  });

  it("is that of no other row", () => {
    fc.assert(fc.property(rows, rows, (one, other) => {
      expect(macs.isOfRow(one, macs.ofRow(other))).toBe(asText(one) === asText(other));
    }));
  });

  it("tells parts that run into each other apart", () => {
    const alike: Partial<ApiKeyRow>[] = [
      { namespace: "shop", scopes: ["read"] }, { namespace: "shopread", scopes: [] }, { namespace: "shop", scopes: ["r", "ead"] }, { namespace: "shop", scopes: ["read", ""] },
      { expiresAt: "5", revokedAt: null }, { expiresAt: null, revokedAt: "5" }, { userHash: Buffer.alloc(0) },
    ];
    const made = alike.map((change) => macs.ofRow({ ...row, ...change }).toString("hex"));
    expect(new Set(made).size).toBe(alike.length);
  });

  it("is of 32 bytes and of this root key", () => {
    const mac = macs.ofRow(row);
    expect(macs.isOfRow(row, mac.subarray(0, 31))).toBe(false);
    expect(macs.isOfRow(row, Buffer.concat([mac, Buffer.of(0)]))).toBe(false);
    expect(macs.isOfRow(row, new ApiKeyMacs(SecretBytes.of(Buffer.alloc(32, 9))).ofRow(row))).toBe(false);
  });

  it("stands for no event, and an event's for no row", () => {
    const event = { n: 1, at: row.createdAt, action: "create", keyId: row.keyId };
    expect(macs.ofEvent(event, undefined).equals(macs.ofEvent(event, Buffer.alloc(0)))).toBe(false);
    const asRow = { ...row, keyId: "", secretHash: Buffer.from("1"), userHash: Buffer.from(row.createdAt), namespace: "create" };
    expect(macs.isOfRow(asRow, macs.ofEvent(event, Buffer.alloc(0)))).toBe(false);
  });
});
