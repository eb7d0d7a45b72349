import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenError, parseUserHash, SecretBytes } from "@memseal/crypto";
import { FileProvider } from "./file-provider.js";
import { assertDistinct, ensureLocalSecrets, loadSecret } from "./secret-files.js";
import type { WrapContext } from "./root-provider.js";

const context: WrapContext = { tenant: parseUserHash("ab".repeat(32)), version: 1, purpose: "seal" };
const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i));

describe("FileProvider", () => {
  const root = new FileProvider(SecretBytes.of(Buffer.alloc(32, 9)));

  it("unwraps what it wrapped", async () => {
    expect((await root.unwrap(await root.wrap(key, context), context)).equals(key)).toBe(true);
  });

  it.each<[string, Partial<WrapContext>]>([
    ["another tenant", { tenant: parseUserHash("cd".repeat(32)) }],
    ["another version", { version: 2 }],
    ["another purpose", { purpose: "reference" }],
  ])("refuses a wrapped key moved to %s", async (_what, change) => {
    const wrapped = await root.wrap(key, context);
    await expect(root.unwrap(wrapped, { ...context, ...change })).rejects.toThrow(OpenError);
  });

  it("refuses a key that another root key wrapped, and names another id", async () => {
    const other = new FileProvider(SecretBytes.of(Buffer.alloc(32, 8)));
    expect(other.rootKeyId).not.toBe(root.rootKeyId);
    await expect(root.unwrap(await other.wrap(key, context), context)).rejects.toThrow(OpenError);
  });

  it("refuses damaged and short bytes", async () => {
    const wrapped = await root.wrap(key, context);
    await expect(root.unwrap(wrapped.subarray(0, 20), context)).rejects.toThrow(OpenError);
    wrapped[15] ^= 1;
    await expect(root.unwrap(wrapped, context)).rejects.toThrow(OpenError);
  });
});

describe("local secrets", () => {
  let dir: string;
  beforeEach(() => { dir = mkdtempSync(join(tmpdir(), "memseal-secrets-")); });
  afterEach(() => { rmSync(dir, { recursive: true }); });

  it("are made once: three different 0600 files that a second start reads again", () => {
    const first = ensureLocalSecrets(dir);
    expect(first.created).toBe(true);
    const contents = Object.values(first.files).map((file) => readFileSync(file).toString("hex"));
    expect(new Set(contents).size).toBe(3);
    for (const file of Object.values(first.files)) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(statSync(file).size).toBe(32);
    }
    const second = ensureLocalSecrets(dir);
    expect(second.created).toBe(false);
    expect(Object.values(second.files).map((file) => readFileSync(file).toString("hex"))).toEqual(contents);
  });

  it("refuse to start when one is missing, and make no new one in its place", () => {
    const { files } = ensureLocalSecrets(dir);
    rmSync(files.pepper);
    expect(() => ensureLocalSecrets(dir)).toThrow(`${files.pepper} is missing`);
    expect(() => loadSecret(files.pepper)).toThrow("cannot be read");
  });

  it("refuse to start when one is short", () => {
    const { files } = ensureLocalSecrets(dir);
    writeFileSync(files.rootKey, Buffer.alloc(31, 1));
    expect(() => ensureLocalSecrets(dir)).toThrow("31 bytes instead of 32");
  });

  it("refuse to start when two are equal", () => {
    const { files } = ensureLocalSecrets(dir);
    copyFileSync(files.rootKey, files.tenantSecret);
    expect(() => ensureLocalSecrets(dir)).toThrow("are equal");
    expect(() => { assertDistinct([files.rootKey, files.pepper]); }).not.toThrow();
  });

  it("refuse to start when others may read one", () => {
    const { files } = ensureLocalSecrets(dir);
    chmodSync(files.tenantSecret, 0o640);
    expect(() => ensureLocalSecrets(dir)).toThrow("chmod 600");
  });

  it("refuse a file of one repeated byte", () => {
    const { files } = ensureLocalSecrets(dir);
    writeFileSync(files.rootKey, Buffer.alloc(32));
    expect(() => loadSecret(files.rootKey)).toThrow("not random");
  });
});
