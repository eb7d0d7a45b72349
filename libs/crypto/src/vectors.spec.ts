import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { encrypt } from "./aead.js";
import { assembleBlob, associatedData, FIELD, parseBlob, type Place } from "./envelope.js";
import { OpenError } from "./errors.js";
import { generateKey } from "./key-material.js";
import { Keyring } from "./keyring.js";
import { REFERENCE, ReferenceKey, type Reference } from "./reference-key.js";
import { open, seal } from "./seal.js";
import { SecretBytes } from "./secret-bytes.js";
import { TenantKey } from "./tenant-key.js";
import { chunkRowId, parseUserHash, userHash } from "./tenant.js";

interface BlobVector {
  name: string;
  keys: string[];
  tenant: string;
  row_id: string;
  field: keyof typeof FIELD;
  row_version: number;
  blob: string;
  /** null where it must not open. */
  plaintext: string | null;
}

interface Vectors {
  keys: { key: string; commitment: string }[];
  user_hashes: { secret: string; namespace: string; user_id: string; user_hash: string }[];
  chunk_row_ids: { memory_id: string; generation: number; chunk_no: number; row_id: string }[];
  references: { key: string; kind: Reference; parts: string[]; reference: string }[];
  blobs: BlobVector[];
}

const PUBLISHED = new URL("../vectors/v1.json", import.meta.url).pathname;
const OPENER = new URL("../vectors/open.py", import.meta.url).pathname;
const vectors = JSON.parse(readFileSync(PUBLISHED, "utf8")) as Vectors;
const hex = (text: string) => Buffer.from(text, "hex");
const secret = (text: string) => SecretBytes.of(hex(text));
const keyringOf = ({ keys }: BlobVector) => {
  const [primary, ...older] = keys.map((key) => new TenantKey(secret(key)));
  return new Keyring(primary, older);
};
const placeOf = ({ tenant, row_id, field, row_version }: BlobVector): Place =>
  ({ tenant: parseUserHash(tenant), rowId: hex(row_id), field: FIELD[field], rowVersion: row_version });

describe("the published vectors", () => {
  it("fix the commitment and id of a key", () => {
    for (const { key, commitment } of vectors.keys) expect(new TenantKey(secret(key)).commitment.toString("hex")).toBe(commitment);
  });

  it("fix the hash of a user, in the default namespace and in others", () => {
    for (const vector of vectors.user_hashes) expect(userHash(secret(vector.secret), vector.user_id, vector.namespace)).toBe(vector.user_hash);
    expect(new Set(vectors.user_hashes.map((vector) => vector.user_hash)).size).toBe(vectors.user_hashes.length);
  });

  it("fix the row id of a chunk", () => {
    for (const vector of vectors.chunk_row_ids) expect(chunkRowId(vector.memory_id, vector.generation, vector.chunk_no).toString("hex")).toBe(vector.row_id);
  });

  it("fix the references of every kind", () => {
    for (const { key, kind, parts, reference } of vectors.references) {
      expect(new ReferenceKey(secret(key)).reference(kind, ...parts.map(hex)).toString("hex")).toBe(reference);
    }
    expect(new Set(vectors.references.map(({ kind }) => kind))).toEqual(new Set(Object.keys(REFERENCE)));
  });

  it.each(vectors.blobs.filter(({ plaintext }) => plaintext !== null))("fix $name, to the byte", (vector) => {
    const blob = hex(vector.blob);
    expect(open(blob, keyringOf(vector), placeOf(vector)).toString("hex")).toBe(vector.plaintext);
    const { kid, nonce } = parseBlob(blob);
    const key = keyringOf(vector).find(kid)!;
    const [ciphertext, tag] = encrypt(key.fieldKey(FIELD[vector.field]), nonce, associatedData(key.header, placeOf(vector)), hex(vector.plaintext!));
    expect(assembleBlob(key.header, nonce, ciphertext, tag).toString("hex")).toBe(vector.blob);
  });

  it.each(vectors.blobs.filter(({ plaintext }) => plaintext === null))("refuse a blob $name", (vector) => {
    expect(() => open(hex(vector.blob), keyringOf(vector), placeOf(vector))).toThrow(OpenError);
  });

  it("cover every field", () => {
    expect(new Set(vectors.blobs.filter(({ plaintext }) => plaintext !== null).map(({ field }) => field))).toEqual(new Set(Object.keys(FIELD)));
  });
});

// Debian's own: a Python of another make may have no cryptography package.
const PYTHON = "/usr/bin/python3";
const hasPython = spawnSync(PYTHON, ["-c", "import cryptography"]).status === 0;
const isRequired = process.env.MEMSEAL_REQUIRE_PYTHON === "1";
const withPython = hasPython || isRequired ? it : it.skip;

describe(`the opener in Python${hasPython || isRequired ? "" : " (skipped: apt-get install python3-cryptography)"}`, () => {
  const check = (file: string) => {
    const { status, stdout, stderr } = spawnSync(PYTHON, [OPENER, file], { encoding: "utf8" });
    return { status, stdout: stdout + stderr };
  };
  const checkThese = (these: Partial<Vectors>) => {
    const dir = mkdtempSync(join(tmpdir(), "memseal-vectors-"));
    try {
      const file = join(dir, "vectors.json");
      writeFileSync(file, JSON.stringify({ keys: [], user_hashes: [], chunk_row_ids: [], references: [], blobs: [], ...these }));
      return check(file);
    } finally {
      rmSync(dir, { recursive: true });
    }
  };

  withPython("agrees with every published vector", () => {
    const count = Object.values(vectors).flat().length;
    const { status, stdout } = check(PUBLISHED);
    expect(stdout).toMatch(new RegExp(`^${count} of ${count} vectors agree \\(cryptography `));
    expect(status).toBe(0);
  });

  withPython("opens what is sealed now, whatever it is and wherever it belongs", () => {
    const anyHex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString("hex"));
    const anyBlob = fc.record({
      tenant: anyHex(32),
      row_id: anyHex(16),
      field: fc.constantFrom(...(Object.keys(FIELD) as (keyof typeof FIELD)[])),
      row_version: fc.maxSafeNat(),
      plaintext: fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value).toString("hex")),
    });
    const blobs = fc.sample(anyBlob, 200).map((sample): BlobVector => {
      const key = generateKey();
      const vector = { ...sample, name: "now", keys: [key.reveal().toString("hex")], blob: "" };
      return { ...vector, blob: seal(hex(sample.plaintext), keyringOf(vector), placeOf(vector)).toString("hex") };
    });
    expect(checkThese({ blobs })).toMatchObject({ status: 0, stdout: expect.stringMatching(/^200 of 200 /) as string });
  });

  withPython("says so where one does not agree", () => {
    const [good, ...rest] = vectors.blobs;
    const edited = { ...good, blob: `${good.blob.slice(0, -2)}00` };
    expect(checkThese({ blobs: [edited, ...rest] })).toMatchObject({ status: 1, stdout: expect.stringContaining("differs:") as string });
  });
});
