import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import fc from "fast-check";
import { FIELD } from "./envelope.js";
import { generateKey } from "./key-material.js";
import { Keyring } from "./keyring.js";
import { REFERENCE, ReferenceKey, type Reference } from "./reference-key.js";
import { open, seal } from "./seal.js";
import { SecretBytes } from "./secret-bytes.js";
import { TenantKey } from "./tenant-key.js";
import { parseUserHash } from "./tenant.js";

const KINDS = Object.keys(REFERENCE) as Reference[];

describe("a tenant key", () => {
  it.each([31, 33, 0])("is not made of %i bytes", (length) => {
    expect(() => new TenantKey(SecretBytes.of(Buffer.alloc(length)))).toThrow(RangeError);
  });

  it("commits to itself alone, and has the same id for the same bytes", () => {
    const bytes = generateKey();
    const key = new TenantKey(bytes);
    const other = new TenantKey(generateKey());
    expect(key.commitsTo(new TenantKey(bytes).commitment)).toBe(true);
    expect(key.commitsTo(other.commitment)).toBe(false);
    expect(key.commitsTo(key.commitment.subarray(0, 31))).toBe(false);
    expect(key.kid.equals(key.commitment.subarray(0, 16))).toBe(true);
  });

  it("seals and opens nothing once it is destroyed", () => {
    const keyring = new Keyring(new TenantKey(generateKey()));
    const place = { tenant: parseUserHash("ab".repeat(32)), rowId: Buffer.alloc(16), field: FIELD.text, rowVersion: 1 };
    const blob = seal(Buffer.from("x"), keyring, place);
    keyring.destroy();
    expect(() => seal(Buffer.from("x"), keyring, place)).toThrow("destroyed");
    expect(() => open(blob, keyring, place)).toThrow("destroyed");
  });

  it("needs its bytes no longer once it is made", () => {
    const bytes = generateKey();
    const keyring = new Keyring(new TenantKey(bytes));
    bytes.zero();
    expect(() => bytes.reveal()).toThrow("zeroed");
    const place = { tenant: parseUserHash("ab".repeat(32)), rowId: Buffer.alloc(16), field: FIELD.text, rowVersion: 1 };
    expect(open(seal(Buffer.from("x"), keyring, place), keyring, place).toString()).toBe("x");
  });

  it("cannot print itself or its bytes", () => {
    const bytes = generateKey();
    const shown = [bytes, new TenantKey(bytes), new ReferenceKey(bytes), new Keyring(new TenantKey(bytes))].flatMap((secret) => [
      JSON.stringify({ secret }), inspect(secret, { depth: 9, showHidden: true }), inspect({ secret }), String(secret as unknown),
    ]).join("\n");
    for (const encoding of ["hex", "base64", "base64url", "latin1"] as const) expect(shown).not.toContain(bytes.reveal().toString(encoding));
    expect(shown).not.toContain([...bytes.reveal().subarray(0, 3)].map((byte) => byte.toString(16).padStart(2, "0")).join(" "));
  });

  it("is in no string of a heap snapshot", () => {
    const dir = mkdtempSync(join(tmpdir(), "memseal-heap-"));
    try {
      const file = join(dir, "heap.heapsnapshot");
      const script = new URL("heap-snapshot.fixture.mjs", import.meta.url).pathname;
      // It works with a key whose bytes we know, writes the snapshot, and proves with a marker that strings would be found.
      execFileSync(process.execPath, ["--conditions=@memseal/source", "--import", "tsx", script, file], { stdio: "pipe" });
      const snapshot = readFileSync(file, "latin1");
      expect(snapshot.includes("marker-of-this-test-0123456789")).toBe(true);
      const key = Buffer.from(Array.from({ length: 32 }, (_byte, i) => (i * 37 + 11) % 256));
      for (const encoding of ["hex", "base64", "base64url"] as const) expect(snapshot.includes(key.toString(encoding))).toBe(false);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe("a blind reference", () => {
  const key = new ReferenceKey(generateKey());

  it("is equal for the same kind and parts, and for no other kind, split, part or key", () => {
    const part = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 40 }));
    const anyInput = fc.tuple(fc.constantFrom(...KINDS), fc.array(part, { maxLength: 4 }));
    const canonical = ([kind, parts]: [Reference, (string | Uint8Array)[]]) => JSON.stringify([kind, parts.map((p) => Buffer.from(p as string).toString("hex"))]);
    fc.assert(fc.property(anyInput, anyInput, (a, b) => {
      const [x, y] = [key.reference(a[0], ...a[1]), key.reference(b[0], ...b[1])];
      expect(x.length).toBe(32);
      expect(x.equals(y)).toBe(canonical(a) === canonical(b));
      expect(x.equals(new ReferenceKey(generateKey()).reference(a[0], ...a[1]))).toBe(false);
    }));
    expect(key.reference("key", "ab", "c").equals(key.reference("key", "a", "bc"))).toBe(false);
    expect(key.reference("key", "ab").equals(key.reference("key", "ab", ""))).toBe(false);
    expect(new Set(KINDS.map((kind) => key.reference(kind, "same").toString("hex"))).size).toBe(KINDS.length);
  });

  it("is not made once the key is destroyed", () => {
    const gone = new ReferenceKey(generateKey());
    gone.destroy();
    expect(() => gone.reference("key", "x")).toThrow("destroyed");
  });
});
