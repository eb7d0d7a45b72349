import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SecretBytes } from "@memseal/crypto";
import { FileProvider } from "./file-provider.js";
import { assertDistinct, ensureLocalSecrets, loadSecret, SECRET_FILES } from "./secret-files.js";
import { rootProviderSuite } from "./root-provider.suite.js";

/** Every key and secret of libs/crypto/vectors. */
function publishedKeys(): Buffer[] {
  const vectors = JSON.parse(readFileSync(new URL("../../crypto/vectors/v1.json", import.meta.url), "utf8")) as { keys: { key: string }[]; user_hashes: { secret: string }[] };
  return [...new Set([...vectors.keys.map(({ key }) => key), ...vectors.user_hashes.map(({ secret }) => secret)])].map((hex) => Buffer.from(hex, "hex"));
}

rootProviderSuite("FileProvider", () => new FileProvider(SecretBytes.of(randomBytes(32))));

describe("FileProvider", () => {
  it("has the same id for the same key, at the next start too, and shows nothing of it", () => {
    const secret = SecretBytes.of(randomBytes(32));
    const [first, second] = [new FileProvider(secret), new FileProvider(secret)];
    expect(first.id).toBe(second.id);
    expect(secret.reveal().toString("hex")).not.toContain(first.id);
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

  const asRoot = process.getuid?.() === 0 ? it : it.skip;

  asRoot("are read as Kubernetes mounts them, by another user whose group may", () => {
    const { files } = ensure();
    // The folder is for its owner alone, too.
    const mounted = mkdtempSync(join(tmpdir(), "memseal-mounted-"));
    chmodSync(mounted, 0o755);
    const file = join(mounted, "root.key");
    copyFileSync(files.rootKey, file);
    const groups = process.getgroups?.() ?? [];
    const asNobody = (mode: number) => {
      chmodSync(file, mode);
      try {
        process.setgroups?.([65_534]);
        process.setegid?.(65_534);
        process.seteuid?.(65_534);
        loadSecret(file);
      } finally {
        process.seteuid?.(0);
        process.setegid?.(0);
        process.setgroups?.(groups);
      }
    };
    chownSync(file, 0, 65_534);
    expect(() => { asNobody(0o440); }).not.toThrow();
    expect(() => { asNobody(0o444); }).toThrow("chmod 600");
    chownSync(file, 65_534, 65_534);
    expect(() => { asNobody(0o440); }).toThrow("chmod 600");
    rmSync(mounted, { recursive: true });
  });

  it("refuse to start when others may read one", () => {
    const { files } = ensure();
    chmodSync(files.tenantSecret, 0o640);
    expect(() => ensure()).toThrow("chmod 600");
  });

  it.each([
    ["one repeated byte", Buffer.alloc(32), "it repeats itself"],
    ["a repeated word", Buffer.from("deadbeef".repeat(8), "hex"), "it repeats itself"],
    ["bytes that count up", Buffer.from(Array.from({ length: 32 }, (_, i) => i)), "it counts"],
    ["bytes that count down by three", Buffer.from(Array.from({ length: 32 }, (_, i) => 255 - 3 * i)), "it counts"],
    ["a passphrase", Buffer.from("correct horse battery staple 123"), "is text"],
    ["half a key, pasted as hex", Buffer.from(randomBytes(16).toString("hex")), "is text"],
    ["a key cut from base64, with its line end", Buffer.from(`${randomBytes(32).toString("base64").slice(0, 31)}\n`), "is text"],
    ...publishedKeys().map((key, i) => [`published test vector ${i + 1}`, key, "is a published test vector"] as const),
  ] as const)("refuse a file of %s, without showing it", (_what, bytes, says) => {
    const { files } = ensure();
    writeFileSync(files.rootKey, bytes);
    let message = "";
    try {
      loadSecret(files.rootKey);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain(`${files.rootKey} ${says.startsWith("it") ? "is not random: " : ""}${says}`);
    expect(message).not.toContain(bytes.toString("latin1").trim().slice(0, 12));
  });

  it("never refuse what was drawn at random", () => {
    const { files } = ensure();
    for (let i = 0; i < 2_000; i++) {
      writeFileSync(files.rootKey, randomBytes(32));
      loadSecret(files.rootKey);
    }
  });
});
