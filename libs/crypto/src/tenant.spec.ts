import { createHmac } from "node:crypto";
import fc from "fast-check";
import { SecretBytes } from "./secret-bytes.js";
import { DEFAULT_NAMESPACE, erasureName, userHash } from "./tenant.js";

const secret = SecretBytes.of(Buffer.alloc(32, 1));
const name = (maxLength: number) => fc.string({ unit: "grapheme", minLength: 1, maxLength }).filter((text) => text.isWellFormed() && !text.includes("\0"));

describe("userHash", () => {
  it("is plain HMAC-SHA256 of the user id in the default namespace", () => {
    fc.assert(fc.property(name(40), (id) => {
      const plain = createHmac("sha256", Buffer.alloc(32, 1)).update(id, "utf8").digest("hex");
      expect(userHash(secret, id)).toBe(plain);
      expect(userHash(secret, id, DEFAULT_NAMESPACE)).toBe(plain);
    }));
  });

  it("is equal for the same user of the same namespace alone", () => {
    const namespace = fc.oneof(fc.constant(DEFAULT_NAMESPACE), name(20));
    // Short names over few letters, so that a namespace that runs into a user id would be met.
    const close = fc.tuple(fc.oneof(namespace, fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 4 })), fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 4 }));
    fc.assert(fc.property(close, close, ([n1, u1], [n2, u2]) => {
      expect(userHash(secret, u1, n1) === userHash(secret, u2, n2)).toBe(n1 === n2 && u1 === u2);
    }), { numRuns: 1_000 });
  });

  it.each(["", "a\0b", "\ud800"])("refuses %j as user id and as namespace", (text) => {
    expect(() => userHash(secret, text)).toThrow("user_id");
    expect(() => userHash(secret, "42", text)).toThrow("namespace");
  });

  it("refuses a namespace of more than 255 bytes", () => {
    expect(userHash(secret, "42", "é".repeat(127))).toHaveLength(64);
    expect(() => userHash(secret, "42", "é".repeat(128))).toThrow("namespace");
  });
});

describe("erasureName", () => {
  it("is one tenant's and one key's, and is made with the secret", () => {
    const [alice, bob] = [userHash(secret, "alice"), userHash(secret, "bob")];
    const names = [erasureName(secret, alice, "k"), erasureName(secret, bob, "k"), erasureName(secret, alice, "k2"), erasureName(SecretBytes.of(Buffer.alloc(32, 2)), alice, "k")];
    expect(new Set([...names, alice, bob]).size).toBe(6);
    expect(names[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(erasureName(secret, alice, "k")).toBe(names[0]);
  });
});
