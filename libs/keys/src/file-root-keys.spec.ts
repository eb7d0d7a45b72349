import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseUserHash } from "@memseal/crypto";
import { FileRootKeys } from "./file-root-keys.js";
import { rootProviderSuite } from "./root-provider.suite.js";
import { ensureLocalSecrets } from "./secret-files.js";

const context = { tenant: parseUserHash("ab".repeat(32)), version: 1, purpose: "seal" } as const;
let dir: string;
let file: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "memseal-root-"));
  file = join(dir, "root.key");
  writeFileSync(file, randomBytes(32), { mode: 0o600 });
});
afterEach(() => { rmSync(dir, { recursive: true, force: true }); });

const versionsOf = (roots: FileRootKeys) => roots.versions().map(({ version }) => version);

rootProviderSuite("the newest version of a root key in files", () => {
  const own = mkdtempSync(join(tmpdir(), "memseal-root-"));
  writeFileSync(join(own, "root.key"), randomBytes(32), { mode: 0o600 });
  const roots = FileRootKeys.open(join(own, "root.key"));
  roots.add();
  const current = roots.current();
  rmSync(own, { recursive: true });
  return current;
});

describe("a root key in files", () => {
  it("has a file for each version, closed to others; the newest wraps and each opens what it wrapped", async () => {
    const roots = FileRootKeys.open(file);
    const first = roots.current();
    const wrapped = await first.wrap(Buffer.alloc(32, 5), context);
    const { version, provider } = roots.add();
    expect([version, roots.current().id, roots.versionOf(first.id), roots.versionOf("none")]).toEqual([2, provider.id, 1, undefined]);
    expect(readdirSync(dir).sort()).toEqual(["root.key", "root.key.v2"]);
    expect(statSync(`${file}.v2`).mode & 0o777).toBe(0o600);
    expect((await roots.find("file", first.id)!.unwrap(wrapped, context)).equals(Buffer.alloc(32, 5))).toBe(true);
    expect(roots.find("file", "another")).toBeUndefined();
    expect(roots.find("kms", first.id)).toBeUndefined();
  });

  it("takes on a version that is put beside it and lets go of one that is removed, while it runs", () => {
    const roots = FileRootKeys.open(file);
    const first = roots.current().id;
    writeFileSync(`${file}.v12`, randomBytes(32), { mode: 0o600 });
    expect(versionsOf(roots)).toEqual([12, 1]);
    expect(roots.current().id).not.toBe(first);
    rmSync(file);
    expect(roots.find("file", first)).toBeUndefined();
    expect(versionsOf(FileRootKeys.open(file))).toEqual([12]);
    expect(versionsOf(FileRootKeys.open(`${file}.v12`))).toEqual([12]);
  });

  it("goes on with what was read where the newest file, or all of them, are out of reach", () => {
    const roots = FileRootKeys.open(file);
    const { provider } = roots.add();
    renameSync(`${file}.v2`, join(dir, "away"));
    expect(roots.current().id).toBe(provider.id);
    renameSync(dir, `${dir}-away`);
    expect(roots.current().id).toBe(provider.id);
    renameSync(`${dir}-away`, dir);
  });

  it("takes no file for a version that is none, and starts with none that is not as it must be", () => {
    for (const name of ["root.key.v1", "root.key.v02", "root.key.v2.partial-7", "root.key.v2~", "other.key.v2"]) writeFileSync(join(dir, name), "");
    const roots = FileRootKeys.open(file);
    expect(versionsOf(roots)).toEqual([1]);
    writeFileSync(`${file}.v2`, randomBytes(31), { mode: 0o600 });
    // One that runs does not stop for it.
    expect(versionsOf(roots)).toEqual([1]);
    expect(() => FileRootKeys.open(file)).toThrow("31 bytes instead of 32");
    writeFileSync(`${file}.v2`, randomBytes(32));
    chmodSync(`${file}.v2`, 0o644);
    expect(() => FileRootKeys.open(file)).toThrow("chmod 600");
    chmodSync(`${file}.v2`, 0o600);
    expect(versionsOf(roots)).toEqual([2, 1]);
    expect(() => FileRootKeys.open(join(dir, "none.key"))).toThrow("none.key cannot be read");
  });

  it("never replaces a file with a new version, and removes what it was told, once", () => {
    const roots = FileRootKeys.open(file);
    roots.add();
    roots.remove(1);
    roots.remove(1);
    expect([existsSync(file), versionsOf(roots)]).toEqual([false, [2]]);
    writeFileSync(`${file}.v3`, "");
    expect(() => roots.add()).toThrow("root key version 3 could not be made");
  });

  it("is a local installation's, whichever version is left, and none of its secrets is another", () => {
    const secrets = join(dir, "secrets");
    const { files } = ensureLocalSecrets(secrets, { hasData: false });
    FileRootKeys.open(files.rootKey).add();
    rmSync(files.rootKey);
    expect(ensureLocalSecrets(secrets, { hasData: true }).created).toBe(false);
    rmSync(files.pepper);
    renameSync(`${files.rootKey}.v2`, files.pepper);
    expect(() => ensureLocalSecrets(secrets, { hasData: true })).toThrow("root.key is missing");
  });
});
