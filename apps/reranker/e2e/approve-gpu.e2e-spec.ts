import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openReport } from "@memseal/evidence";
import { appScript, freePort, runToExit, startProcess, type ServiceProcess } from "@memseal/transport/testing";

const APPROVE = join(dirname(appScript("reranker")), "approve-gpu.js");
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const keys = generateKeyPairSync("ed25519");

let dir: string;
let reranker: ServiceProcess;
let addresses: Record<string, string>;
const reports = () => readdirSync(dir).filter((name) => name.startsWith("gpu-"));

function approve(manifest: object, { env = addresses, args = [] }: { env?: Record<string, string>; args?: string[] } = {}) {
  writeFileSync(join(dir, "manifest.json"), JSON.stringify(manifest));
  return runToExit(APPROVE, { ...env, MEMSEAL_CANARY_SIGNING_KEY_FILE: join(dir, "signing.pem") }, ["--dir", dir, "--manifest", join(dir, "manifest.json"), ...args]);
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "memseal-approve-gpu-"));
  writeFileSync(join(dir, "signing.pem"), keys.privateKey.export({ type: "pkcs8", format: "pem" }));
  addresses = { MEMSEAL_RERANKER_ADDRESS: `127.0.0.1:${await freePort()}`, MEMSEAL_METRICS_ADDRESS: `127.0.0.1:${await freePort()}` };
  reranker = await startProcess(appScript("reranker"), { ...addresses, MEMSEAL_DEVICE: "cpu" }, { args: ["--serve", "rerank"] });
});

afterAll(async () => {
  await reranker.kill("SIGTERM");
  rmSync(dir, { recursive: true });
});

it("measures a reranker on a CPU, signs what it found, and does not approve it", async () => {
  const { code, lines } = await approve({ version: "0.2.0", commit: COMMIT });
  expect(lines).toContain("gpu approval of v0.2.0 at 0123456789ab: FAILED");
  expect(code).toBe(1);
  const name = "gpu-v0.2.0-0123456789ab";
  expect(reports().sort()).toEqual([`${name}.json`, `${name}.md`]);
  const { passed, figures, commit } = openReport(join(dir, `${name}.json`), keys.publicKey);
  expect({ passed, commit }).toEqual({ passed: false, commit: COMMIT });
  const [cuda, p95, ...throughput] = figures;
  expect(cuda).toMatchObject({ what: "rerankers that run on cuda", value: 0, limit: { is: "at least", value: 1 }, note: expect.stringMatching(/ on cpu$/) as string });
  expect(p95).toMatchObject({ what: "rerank 24 x 128 tokens p95", limit: { is: "below", value: 150 } });
  expect(p95.value).toBeGreaterThan(0);
  expect(throughput.map(({ value }) => (value ?? 0) > 0)).toEqual([true, true, true]);
});

it("approves no image that was packed from files that are not as in a commit", async () => {
  const { code, lines } = await approve({ version: "0.3.0", commit: null });
  expect([code, lines.join("\n")]).toEqual([1, "this image was packed from files that are not as in a commit: it cannot be approved"]);
});

it.each([[{ commit: COMMIT }, [], "is no manifest of a pack"], [{ version: "0.3.0", commit: COMMIT }, ["--wait-s", "soon"], "--wait-s takes seconds"]])("says what is wrong with how it was started: %j %j", async (manifest, args, words) => {
  const { code, lines } = await approve(manifest, { args });
  expect([code, lines.join("\n")]).toEqual([1, expect.stringContaining(words)]);
});

it("gives up where no reranker answers, and writes nothing", async () => {
  const nowhere = { MEMSEAL_RERANKER_ADDRESS: `127.0.0.1:${await freePort()}`, MEMSEAL_METRICS_ADDRESS: `127.0.0.1:${await freePort()}` };
  const { code, lines } = await approve({ version: "0.4.0", commit: COMMIT }, { env: nowhere, args: ["--wait-s", "1"] });
  expect([code, lines.join("\n")]).toEqual([1, `no reranker answered at ${nowhere.MEMSEAL_RERANKER_ADDRESS} within 1 s`]);
  expect(reports().filter((name) => name.includes("v0.4.0"))).toEqual([]);
});
