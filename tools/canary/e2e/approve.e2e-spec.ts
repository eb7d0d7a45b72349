import { spawnSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openReport } from "@memseal/evidence";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
/** One suite of a few seconds stands behind it. */
const PROMISE = "no handler serves a call that does not say whose it is";
const RUN_MS = 110_000;

let dir: string;
let reports: string;
let publicKey: KeyObject;
let keyFile: string;
let publicKeyFile: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "memseal-approve-"));
  reports = join(dir, "evidence");
  keyFile = join(dir, "signing.pem");
  const { privateKey } = generateKeyPairSync("ed25519");
  publicKey = createPublicKey(privateKey);
  publicKeyFile = join(dir, "signing.pub");
  writeFileSync(keyFile, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  writeFileSync(publicKeyFile, publicKey.export({ type: "spki", format: "pem" }));
});

afterAll(() => {
  rmSync(dir, { recursive: true });
});

const approve = (env: Readonly<Record<string, string>>, ...args: string[]) => canary(env, "approve", ...args, "--dir", reports);

function canary(env: Readonly<Record<string, string>>, ...args: string[]): { code: number | null; output: string } {
  const rest = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "MEMSEAL_CANARY_SIGNING_KEY_FILE"));
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8", env: { ...rest, ...env }, timeout: RUN_MS });
  return { code: status, output: stdout + stderr };
}

const tiny = (env: Readonly<Record<string, string>>) => approve(env, "security", "--only", PROMISE);

describe("approve security", () => {
  it("without a key runs, writes nothing, says what is missing and approves nothing", () => {
    const { code, output } = tiny({});
    expect(output).toContain(`${PROMISE}: 0 of 2 attacks not held`);
    expect(output).toContain("MEMSEAL_CANARY_SIGNING_KEY_FILE must name an Ed25519 private key");
    expect(code).toBe(1);
    expect(() => readdirSync(reports)).toThrow("ENOENT");
  });

  it("runs the real suite and signs what it found, the failure with it: a part is no approval", () => {
    const { code, output } = tiny({ MEMSEAL_CANARY_SIGNING_KEY_FILE: keyFile });
    expect(output).toContain("FAILED attacked promises left out of this run");
    expect(code).toBe(1);
    const [name = "", ...more] = readdirSync(reports).filter((file) => file.endsWith(".json"));
    expect(more).toEqual([]);
    const report = openReport(join(reports, name), publicKey);
    expect(report).toMatchObject({ kind: "security", passed: false });
    const figure = report.figures.find(({ what }) => what === PROMISE);
    expect(figure).toMatchObject({ value: 0, unit: "of 2 attacks not held" });
    expect(figure?.details).toContainEqual(expect.stringMatching(/^passed libs\/transport tenant.guard \(unit\): TenantGuard refuses a handler that declares nothing \(\d+ ms\)$/));
    expect(report.not_yet).toContainEqual(expect.stringContaining("HSM"));
  });

  it("writes what verify-evidence opens, and refuses once it is altered", () => {
    const [markdown = "", report = ""] = readdirSync(reports).sort().reverse().map((file) => join(reports, file));
    const verify = () => canary({}, "verify-evidence", report, "--key", publicKeyFile);
    expect(verify()).toEqual({ code: 0, output: expect.stringMatching(/: security approval of v\S+ at [0-9a-f]{12} FAILED; whole, signed by this key/) as string });
    appendFileSync(markdown, "and passed\n");
    expect(verify()).toEqual({ code: 1, output: expect.stringContaining("REFUSED: ") as string });
  });

  it("does not write over what it found, and runs nothing to find that out", () => {
    const { code, output } = tiny({ MEMSEAL_CANARY_SIGNING_KEY_FILE: keyFile });
    expect(output).toMatch(/^security-v\S+\.json is written already[^\n]*\n$/);
    expect(code).toBe(1);
  });

  it("says how it is used where no promise is so called", () => {
    const { code, output } = approve({}, "security", "--only", "nothing of ours");
    expect(output).toContain(`  ${PROMISE}\n`);
    expect(code).toBe(2);
  });
});
