import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartupError } from "@memseal/errors";
import { installBinaries, packageFolder } from "./postgres-binaries.js";

describe("packageFolder", () => {
  it.each([["win32", "x64"], ["linux", "riscv64"]])("tells a machine without a package (%s, %s) to bring its own database", (platform, arch) => {
    expect(() => packageFolder(platform, arch)).toThrow(StartupError);
    expect(() => packageFolder(platform, arch)).toThrow("set DATABASE_URL");
  });
});

describe("installBinaries", () => {
  let folder: string;
  let packageDir: string;
  let binaries: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "memseal-binaries-"));
    packageDir = join(folder, "package");
    binaries = join(folder, "binaries");
    mkdirSync(join(packageDir, "native/bin"), { recursive: true });
    mkdirSync(join(packageDir, "native/lib"));
    writeFileSync(join(packageDir, "package.json"), JSON.stringify({ version: "18.4.0-beta.17" }));
    writeFileSync(join(packageDir, "native/bin/postgres"), "program", { mode: 0o700 });
    writeFileSync(join(packageDir, "native/lib/libpq.so.5.18"), "library", { mode: 0o600 });
    writeFileSync(join(packageDir, "native/pg-symlinks.json"), JSON.stringify([{ source: "native/lib/libpq.so.5.18", target: "native/lib/libpq.so" }]));
  });

  afterEach(() => { rmSync(folder, { recursive: true }); });

  it("makes the libraries' links, which the package's install script did not", async () => {
    await installBinaries(packageDir, binaries);
    expect(readlinkSync(join(binaries, "18.4.0-beta.17/lib/libpq.so"))).toBe("libpq.so.5.18");
    expect(readFileSync(join(binaries, "18.4.0-beta.17/lib/libpq.so"), "utf8")).toBe("library");
  });

  it("makes the copy usable by every user, whatever the umask of the installation was", async () => {
    const { postgres } = await installBinaries(packageDir, binaries);
    const mode = (path: string): number => statSync(path).mode & 0o777;
    expect(mode(postgres)).toBe(0o755);
    expect(mode(join(binaries, "18.4.0-beta.17/lib/libpq.so.5.18"))).toBe(0o644);
    expect(mode(join(binaries, "18.4.0-beta.17/lib"))).toBe(0o755);
  });

  it("copies once, and names the versions", async () => {
    const first = await installBinaries(packageDir, binaries);
    writeFileSync(join(packageDir, "native/bin/postgres"), "changed");
    expect(await installBinaries(packageDir, binaries)).toEqual(first);
    expect(readFileSync(first.postgres, "utf8")).toBe("program");
    expect(first).toMatchObject({ version: "18.4.0-beta.17", major: "18" });
  });

  it("leaves one whole copy when two starts copy at once", async () => {
    const [one, other] = await Promise.all([installBinaries(packageDir, binaries), installBinaries(packageDir, binaries)]);
    expect(one).toEqual(other);
    expect(readdirSync(binaries)).toEqual(["18.4.0-beta.17"]);
  });
});
