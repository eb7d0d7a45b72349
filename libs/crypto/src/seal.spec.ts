import { createDecipheriv, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { decodeEmbedding, encodeEmbedding } from "./embedding.js";
import { associatedData, blobHeader, FIELD, OVERHEAD_BYTES, type Place } from "./envelope.js";
import { OpenError } from "./errors.js";
import { generateKey } from "./key-material.js";
import { Keyring } from "./keyring.js";
import { open, seal } from "./seal.js";
import { SecretBytes } from "./secret-bytes.js";
import { TenantKey } from "./tenant-key.js";
import { chunkRowId, parseUserHash, uuidBytes, type UserHash } from "./tenant.js";

const keyring = new Keyring(new TenantKey(generateKey()));
const tenant = parseUserHash("ab".repeat(32));
const otherTenant = parseUserHash("cd".repeat(32));
const rowId = uuidBytes("01890a5d-ac96-774b-bcce-b302099a8057");
const otherRowId = uuidBytes("01890a5d-ac96-774b-bcce-b302099a8058");
const place: Place = { tenant, rowId, field: FIELD.text, rowVersion: 1 };

/** Every failure is one class with one message. */
function expectClosed(attempt: () => unknown): void {
  let thrown: unknown;
  try {
    attempt();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(OpenError);
  expect((thrown as OpenError).message).toBe("sealed value does not open");
}

describe("seal", () => {
  it("opens to what was sealed, 48 bytes longer, at every size", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (plaintext) => {
        const blob = seal(plaintext, keyring, place);
        expect(blob.length).toBe(plaintext.length + 48);
        expect(open(blob, keyring, place).equals(plaintext)).toBe(true);
      }),
    );
  });

  it("writes blob v1 to the byte: another reading of the format opens it", () => {
    const bytes = Buffer.alloc(32, 7);
    bytes[0] = 1;
    const ring = new Keyring(new TenantKey(SecretBytes.of(bytes)));
    const blob = seal(Buffer.from("grüezi"), ring, { ...place, field: FIELD.metadata, rowVersion: 258 });

    const derive = (info: Buffer) => Buffer.from(hkdfSync("sha256", bytes, Buffer.alloc(0), info, 32));
    const kid = derive(Buffer.from("memseal/v1/commit")).subarray(0, 16);
    expect(blob.subarray(0, 20).equals(Buffer.concat([Buffer.from([0x4d, 0x31, 1, 1]), kid]))).toBe(true);
    const fieldKey = derive(Buffer.concat([Buffer.from("memseal/v1/"), Buffer.from([1, 1, 2])]));
    const decipher = createDecipheriv("aes-256-gcm", fieldKey, blob.subarray(20, 32), { authTagLength: 16 });
    decipher.setAAD(Buffer.concat([blob.subarray(0, 20), Buffer.from([0, 32]), Buffer.from(tenant, "hex"), rowId, Buffer.from([2]), Buffer.from("0000000000000102", "hex")]));
    decipher.setAuthTag(blob.subarray(-16));
    expect(Buffer.concat([decipher.update(blob.subarray(32, -16)), decipher.final()]).toString()).toBe("grüezi");
  });

  it.each([-1, 0.5, NaN, Infinity, 2 ** 53])("refuses the row version %p", (rowVersion) => {
    expect(() => seal(Buffer.alloc(1), keyring, { ...place, rowVersion })).toThrow(RangeError);
  });

  it("refuses a row id that has not 16 bytes, and a tenant that is no hash", () => {
    expect(() => seal(Buffer.alloc(1), keyring, { ...place, rowId: Buffer.alloc(15) })).toThrow(RangeError);
    expect(() => seal(Buffer.alloc(1), keyring, { ...place, tenant: "ab" as UserHash })).toThrow(RangeError);
  });

  it("gives no two places the same associated data", () => {
    const anyPlace = fc.record({
      tenant: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => parseUserHash(Buffer.from(bytes).toString("hex"))),
      rowId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      field: fc.constantFrom(...Object.values(FIELD)),
      rowVersion: fc.maxSafeNat(),
    });
    const header = blobHeader(Buffer.alloc(16, 1));
    const encoded = (at: Place) => Buffer.from(associatedData(header, at));
    const read = (aad: Buffer): Place => ({
      tenant: parseUserHash(aad.toString("hex", 22, 54)),
      rowId: new Uint8Array(aad.subarray(54, 70)),
      field: aad[70] as Place["field"],
      rowVersion: Number(aad.readBigUInt64BE(71)),
    });
    // What can be read back to exactly what was written is written by nothing else.
    fc.assert(fc.property(anyPlace, (at) => {
      expect(encoded(at).length).toBe(79);
      expect(read(encoded(at))).toEqual({ ...at, rowId: new Uint8Array(at.rowId) });
    }));
  });

  it("never repeats a nonce", () => {
    const nonces = new Set(Array.from({ length: 5000 }, () => seal(Buffer.alloc(1), keyring, place).subarray(20, 32).toString("hex")));
    expect(nonces.size).toBe(5000);
  });
});

describe("open", () => {
  const blob = seal(Buffer.from("allergic to walnuts"), keyring, place);

  it("refuses a blob moved to another tenant", () => {
    expectClosed(() => open(blob, keyring, { ...place, tenant: otherTenant }));
  });

  it("refuses a blob moved to another row", () => {
    expectClosed(() => open(blob, keyring, { ...place, rowId: otherRowId }));
  });

  it("refuses a blob moved to another field", () => {
    expectClosed(() => open(blob, keyring, { ...place, field: FIELD.metadata }));
  });

  it("refuses a blob of another row version", () => {
    expectClosed(() => open(blob, keyring, { ...place, rowVersion: 2 }));
  });

  it("refuses a blob sealed under a key it does not hold", () => {
    expectClosed(() => open(blob, new Keyring(new TenantKey(generateKey())), place));
  });

  it("opens what an older key of the tenant sealed, and seals with the primary", () => {
    const newer = new TenantKey(generateKey());
    const rotated = new Keyring(newer, [keyring.primary]);
    expect(open(blob, rotated, place).toString()).toBe("allergic to walnuts");
    expect(seal(Buffer.alloc(1), rotated, place).subarray(4, 20).equals(newer.kid)).toBe(true);
  });

  it("refuses every blob at every place but its own, and every key but its own", () => {
    const memory = "01890a5d-ac96-774b-bcce-b302099a8057";
    const rows = [rowId, otherRowId, chunkRowId(memory, 1, 0), chunkRowId(memory, 1, 1), chunkRowId(memory, 2, 0)];
    const places = [tenant, otherTenant].flatMap((t) => rows.flatMap((r) => Object.values(FIELD).flatMap((field) =>
      [0, 1, 2, 2 ** 32, Number.MAX_SAFE_INTEGER].map((rowVersion): Place => ({ tenant: t, rowId: r, field, rowVersion })))));
    const blobs = places.map((at) => seal(Buffer.from("x"), keyring, at));
    const stranger = new Keyring(new TenantKey(generateKey()));
    for (const [i, sealed] of blobs.entries()) {
      for (const [j, at] of places.entries()) {
        if (i === j) expect(open(sealed, keyring, at).toString()).toBe("x");
        else expectClosed(() => open(sealed, keyring, at));
      }
      expectClosed(() => open(sealed, stranger, places[i]));
    }
  });

  it("refuses a key that is no longer in the ring: disabled, or another's id written over its own", () => {
    const [older, newer] = [new TenantKey(generateKey()), new TenantKey(generateKey())];
    const old = seal(Buffer.from("x"), new Keyring(older), place);
    expectClosed(() => open(old, new Keyring(newer), place));
    const relabelled = Buffer.from(old);
    newer.kid.copy(relabelled, 4);
    expectClosed(() => open(relabelled, new Keyring(newer, [older]), place));
  });

  it.each([["format 0", 2, 0], ["format 2", 2, 2], ["suite 0", 3, 0], ["suite 2", 3, 2], ["another magic", 0, 0x4e]])("refuses %s", (_what, at, value) => {
    const relabelled = Buffer.from(blob);
    relabelled[at] = value;
    expectClosed(() => open(relabelled, keyring, place));
  });

  it("refuses two blobs with their ciphertexts, nonces or tags exchanged", () => {
    const other = seal(Buffer.from("allergic to hazels."), keyring, place);
    for (const [from, to] of [[20, 32], [32, blob.length - 16], [blob.length - 16, blob.length]]) {
      const mixed = Buffer.from(blob);
      other.copy(mixed, from, from, to);
      expectClosed(() => open(mixed, keyring, place));
    }
  });

  it("refuses every single flipped bit", () => {
    for (let bit = 0; bit < blob.length * 8; bit++) {
      const damaged = Buffer.from(blob);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      expectClosed(() => open(damaged, keyring, place));
    }
  });

  it("refuses every truncation and extension", () => {
    for (let length = 0; length < blob.length; length++) expectClosed(() => open(blob.subarray(0, length), keyring, place));
    for (const extra of [1, 16, 48]) {
      expectClosed(() => open(Buffer.concat([blob, Buffer.alloc(extra)]), keyring, place));
      expectClosed(() => open(Buffer.concat([Buffer.alloc(extra), blob]), keyring, place));
    }
    expect(blob.length).toBeGreaterThan(OVERHEAD_BYTES);
  });
});

describe("embedding", () => {
  it("comes back bit for bit, with its span", () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.float32Array({ minLength: 1, maxLength: 64 }), (start, end, vector) => {
        const decoded = decodeEmbedding(encodeEmbedding({ start, end, vector }));
        expect([decoded.start, decoded.end]).toEqual([start, end]);
        expect(Buffer.from(decoded.vector.buffer).equals(Buffer.from(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)))).toBe(true);
      }),
    );
  });

  it("gives each chunk of each generation a row id of its own", () => {
    const memory = "01890a5d-ac96-774b-bcce-b302099a8057";
    const ids = [chunkRowId(memory, 1, 0), chunkRowId(memory, 1, 1), chunkRowId(memory, 2, 0), chunkRowId(memory.replace("01", "02"), 1, 0)];
    expect(new Set(ids.map((id) => id.toString("hex"))).size).toBe(4);
  });
});
