import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenError, parseUserHash, SecretBytes } from "@memseal/crypto";
import { FileProvider } from "./file-provider.js";
import { assertDistinct, ensureLocalSecrets, loadSecret, SECRET_FILES } from "./secret-files.js";
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
  let home: string;
  let dir: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "memseal-secrets-"));
    dir = join(home, "secrets");
  });
  afterEach(() => { rmSync(home, { recursive: true }); });

  const ensure = () => ensureLocalSecrets(dir, { hasData: false });

  it("are made once: three different 0600 files that a second start reads again", () => {
    const first = ensure();
    expect(first.created).toBe(true);
    const contents = Object.values(first.files).map((file) => readFileSync(file).toString("hex"));
    expect(new Set(contents).size).toBe(3);
    for (const file of Object.values(first.files)) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(statSync(file).size).toBe(32);
    }
    const second = ensure();
    expect(second.created).toBe(false);
    expect(Object.values(second.files).map((file) => readFileSync(file).toString("hex"))).toEqual(contents);
  });

  it("refuse to start when one is missing, and make no new one in its place", () => {
    const { files } = ensure();
    rmSync(files.pepper);
    expect(() => ensure()).toThrow(`${files.pepper} is missing`);
    expect(() => loadSecret(files.pepper)).toThrow("cannot be read");
  });

  it("are never made anew beside data that needs the old ones", () => {
    const lost = () => ensureLocalSecrets(dir, { hasData: true });
    expect(lost).toThrow(`the secrets in ${dir} are gone`);
    expect(lost).toThrow("restore them from your backup");
    expect(readdirSync(home)).toEqual([]);
    ensure();
    expect(lost().created).toBe(false);
  });

  it("are made in an empty directory that is there already, and closed to others", () => {
    mkdirSync(dir, { mode: 0o755 });
    expect(ensure().created).toBe(true);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(home)).toEqual(["secrets"]);
  });

  it("are all there or none: a start that died while it made them leaves none behind in their place", () => {
    // What is left when it dies after the first: the same number may be given to the next start.
    mkdirSync(`${dir}.partial-${process.pid}`);
    writeFileSync(join(`${dir}.partial-${process.pid}`, SECRET_FILES.rootKey), Buffer.alloc(5));
    expect(ensure().created).toBe(true);
    expect(readdirSync(home)).toEqual(["secrets"]);
  });

  it("are not mixed with other files, and none is left behind", () => {
    mkdirSync(dir);
    writeFileSync(join(dir, "notes.txt"), "");
    expect(ensure).toThrow("must be absent or an empty directory");
    expect(readdirSync(home)).toEqual(["secrets"]);
    expect(readdirSync(dir)).toEqual(["notes.txt"]);
  });

  it("refuse to start when one is short", () => {
    const { files } = ensure();
    writeFileSync(files.rootKey, Buffer.alloc(31, 1));
    expect(() => ensure()).toThrow("31 bytes instead of 32");
  });

  it("refuse to start when two are equal", () => {
    const { files } = ensure();
    copyFileSync(files.rootKey, files.tenantSecret);
    expect(() => ensure()).toThrow("are equal");
    expect(() => { assertDistinct([files.rootKey, files.pepper]); }).not.toThrow();
  });

  it("refuse to start when others may read one", () => {
    const { files } = ensure();
    chmodSync(files.tenantSecret, 0o640);
    expect(() => ensure()).toThrow("chmod 600");
  });

  it("refuse a file of one repeated byte", () => {
    const { files } = ensure();
    writeFileSync(files.rootKey, Buffer.alloc(32));
    expect(() => loadSecret(files.rootKey)).toThrow("not random");
  });
});
