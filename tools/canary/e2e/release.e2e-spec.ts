import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { envelopeText, openEnvelope, sha256, signEnvelope } from "@memseal/evidence";
import { MANIFEST_FILE, manifestLine, NOTHING_BEFORE, parseFacts, PAYLOAD_TYPE, SIGNATURE_FILE, type ManifestEntry } from "../src/bundle/manifest.js";
import type { Rehearsal } from "../src/demo/rehearsal.js";
import { Stage } from "../src/demo/stage.js";
import { ROOT } from "../src/repository.js";
import { verifyEvidence } from "../src/verify/verify-evidence.js";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
/** The first hour takes ten seconds. */
const TIME_SCALE = 360;
const RUN = ["--release", "v1.2.3-rc.1", "--mode", "local-demo", "--time-scale", String(TIME_SCALE)];

const areThere = ["haproxy -v", "prometheus --version", "prometheus-alertmanager --version"].every((line) => {
  const [command = "", argument = ""] = line.split(" ");
  return spawnSync(command, [argument]).status === 0;
});
/** Where they are not there, they are tried only if they are required, as in CI. */
const canRun = areThere || (process.env["MEMSEAL_REQUIRE_PROMETHEUS"] === "1" && process.env["MEMSEAL_REQUIRE_HAPROXY"] === "1");
const withEverything = canRun ? describe : describe.skip;

/** The command line as an operator has it. */
class Operator {
  output = "";

  private constructor(readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (bytes: Buffer) => { this.output += bytes.toString(); });
  }

  static runs(env: Readonly<Record<string, string>>, ...args: readonly string[]): Operator {
    return new Operator(spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "pipe", "pipe"] }));
  }

  async exitCode(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
    return this.child.exitCode;
  }

  async says(text: string, withinMs = 60_000): Promise<void> {
    const giveUpAtMs = Date.now() + withinMs;
    while (!this.output.includes(text)) {
      if (Date.now() > giveUpAtMs || this.child.exitCode !== null) throw new Error(`it never said "${text}":\n${this.output}`);
      await delay(50);
    }
  }
}

it("a plan without credentials names each that is missing, executes nothing and passes nothing", async () => {
  const operator = Operator.runs({}, "plan", "--release", "v1.2.3");
  expect(await operator.exitCode()).toBe(0);
  expect(operator.output).toMatch(/5% of the traffic for 60 min[\s\S]*missing: MEMSEAL_CANARY_SIGNING_KEY_FILE[\s\S]*Nothing was done/);
  expect(operator.output).not.toMatch(/pass|ok:/i);
});

it("a run without credentials is refused, and so is a live release in made-up time", async () => {
  const without = Operator.runs({}, "run", "--release", "v1.2.3");
  expect(await without.exitCode()).toBe(1);
  expect(without.output).toMatch(/missing: MEMSEAL_PROXY_SOCKET/);
  const hurried = Operator.runs({}, "run", "--release", "v1.2.3", "--time-scale", "60");
  expect(await hurried.exitCode()).toBe(2);
});

withEverything(`a release behind HAProxy, watched by Prometheus${canRun ? "" : " (skipped: apt-get install haproxy prometheus prometheus-alertmanager)"}`, () => {
  let dir: string;
  let stage: Stage;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "memseal-release-"));
    stage = await Stage.start({ stable: ROOT, users: 10 });
  });
  afterAll(async () => {
    await stage.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const candidateShare = async (rehearsal: Rehearsal) => (await rehearsal.loadBalancer.read()).candidatePercent;
  const publicKeyOf = (rehearsal: Rehearsal) => createPublicKey(readFileSync(rehearsal.publicKeyFile));

  describe("with little traffic", () => {
    let rehearsal: Rehearsal;
    let operator: Operator;
    let evidence: string;
    let privateKeyPem: string;

    beforeAll(async () => {
      evidence = join(dir, "little");
      rehearsal = await stage.rehearse(ROOT);
      privateKeyPem = readFileSync(rehearsal.env["MEMSEAL_CANARY_SIGNING_KEY_FILE"] ?? "", "utf8");
      operator = Operator.runs(rehearsal.env, "run", ...RUN, "--evidence", evidence, "--load", "4");
      await operator.exitCode();
    });
    afterAll(() => rehearsal.stop());

    it("is inconclusive, says what it needs, and the candidate gets nothing any more", async () => {
      expect(operator.output).toMatch(/stream_success: needs at least \d+ more/);
      expect(await operator.exitCode()).toBe(4);
      expect(await candidateShare(rehearsal)).toBe(0);
    });

    it("leaves evidence that is computed again to the same end, on the command line, too", async () => {
      expect(verifyEvidence(evidence, { publicKey: publicKeyOf(rehearsal) })).toMatchObject({ outcome: "inconclusive", steps: [{ percent: 5 }] });
      const verified = Operator.runs({}, "verify-evidence", evidence, "--key", rehearsal.publicKeyFile);
      expect(await verified.exitCode()).toBe(0);
      expect(verified.output).toMatch(/inconclusive; whole, signed by this key/);
    });

    it("says mode and time scale in every file, and no key, user or text in any", () => {
      const keys = readFileSync(rehearsal.env["MEMSEAL_CANARY_KEYS_FILE"] ?? "", "utf8").trim().split("\n");
      const secrets = [...keys, rehearsal.env["MEMSEAL_PROXY_TRACK_SECRET"] ?? "", readFileSync(rehearsal.env["MEMSEAL_CANARY_WEBHOOK_TOKEN_FILE"] ?? "", "utf8"), "rehearsal-1"];
      for (const { file } of entriesOf(evidence)) {
        const text = readFileSync(join(evidence, file), "utf8");
        expect(text).toMatch(/time[_ ]scale"?:? 360|"time_scale":360/);
        for (const secret of secrets) expect(text).not.toContain(secret);
      }
    });

    /** A copy in which whoever has the key changed something, and signed it again. */
    function forged(change: (copy: string, entries: ManifestEntry[]) => ManifestEntry[] | undefined): string {
      const copy = mkdtempSync(join(dir, "forged-"));
      cpSync(evidence, copy, { recursive: true });
      const entries = entriesOf(copy);
      sign(copy, change(copy, entries) ?? entries, privateKeyPem);
      return copy;
    }
    const edited = (file: string, edit: (text: string) => string) => forged((copy) => {
      const path = join(copy, file);
      const text = readFileSync(path, "utf8");
      const changed = edit(text);
      if (changed === text) throw new Error(`${file} was not changed`);
      writeFileSync(path, changed);
      return undefined;
    });
    const json = (edit: (json: Record<string, never>) => void) => (text: string) => {
      const parsed = JSON.parse(text) as Record<string, never>;
      edit(parsed);
      return `${JSON.stringify(parsed, undefined, 2)}\n`;
    };
    const without = (pattern: RegExp) => forged((copy, entries) => {
      const gone = entries.filter(({ file }) => pattern.test(file));
      if (gone.length === 0) throw new Error(`nothing is called ${pattern}`);
      for (const { file } of gone) rmSync(join(copy, file));
      return entries.filter((entry) => !gone.includes(entry));
    });
    const verified = (copy: string) => verifyEvidence(copy, { publicKey: publicKeyOf(rehearsal) });

    it("that is signed again without a change still holds: what is refused below is refused for its change", () => {
      expect(verified(forged(() => undefined)).outcome).toBe("inconclusive");
    });

    it("is refused where any file is altered without the key", () => {
      for (const { file } of entriesOf(evidence)) {
        const copy = mkdtempSync(join(dir, "altered-"));
        cpSync(evidence, copy, { recursive: true });
        const path = join(copy, file);
        writeFileSync(path, readFileSync(path, "utf8").replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10)));
        expect(() => verified(copy)).toThrow();
        rmSync(copy, { recursive: true });
      }
    });

    it.each([
      ["the outcome", "decision.json", json((one) => { Object.assign(one, { outcome: "promoted" }); })],
      ["a verdict", "looks/00003.json", json((one) => { Object.assign(one, { verdict: { verdict: "promote" } }); })],
      ["an action", "looks/00003.json", json((one) => { Object.assign(one, { action: { do: "step", percent: 25 } }); })],
      ["what Prometheus answered", "looks/00005.json", (text: string) => text.replaceAll(/\\"value\\":\[([\d.]+),\\"0\\"\]/g, String.raw`\"value\":[$1,\"9\"]`)],
      ["what Prometheus was asked", "looks/00002.json", (text: string) => text.replaceAll('"query": "timestamp(up', '"query": "timestamp(memseal')],
      ["the time of a look", "looks/00003.json", json((one) => { Object.assign(one, { at: "2026-01-01T00:00:00.000Z" }); })],
      ["what was warmed up", "looks/00009.json", json((one) => { Object.assign(one, { is_warming: !(one["is_warming"] as boolean) }); })],
      ["an alert", "alerts.json", json((one) => { Object.assign(one, { heard: [] }); })],
      ["a longer scale", "plan.json", json((one) => { Object.assign(one, { plan: { ...(one["plan"] as object), patience_s: 1 } }); })],
      ["a shorter window", "plan.json", (text: string) => text.replace('"window_s": 3600', '"window_s": 60')],
      ["the preflight", "preflight.json", (text: string) => text.replace('"passed": true', '"passed": false')],
      ["the split", "load-balancer/step-005.json", (text: string) => text.replace('"candidatePercent": 5', '"candidatePercent": 50')],
      ["the load balancer's counts", "load-balancer/after.json", (text: string) => text.replace(/"stable": \d+/, '"stable": 1')],
      ["when the first step began", "load-balancer/step-005.json", json((one) => { Object.assign(one, { at: "2026-01-01T00:00:00.000Z" }); })],
      ["a row of the load", "load/requests.jsonl", (text: string) => text.replace(/\n[^\n]*\n$/, "\n")],
      ["the load's summary", "load/summary.json", (text: string) => text.replace(/"failures": 0/, '"failures": 1')],
      ["who counted how many", "agreement.json", json((one) => { Object.assign(one, { client: { canary: 1, stable: 1 } }); })],
      ["a checkpoint's split", "checkpoints/02.json", (text: string) => text.replace('"candidatePercent": 5', '"candidatePercent": 6')],
      ["a checkpoint's time", "checkpoints/12.json", json((one) => { Object.assign(one, { at: "2026-01-01T00:00:00.000Z" }); })],
      ["a snapshot's answers", "snapshots/t-plus-30.json", json((one) => { Object.assign(one, { prometheus: [] as never[] }); })],
      ["the record of the rollback", "rollback.json", json((one) => { Object.assign(one, { weight_0_at: null }); })],
      ["the decision in words", "decision.md", (text: string) => text.replace("Inconclusive", "Promoted")],
    ])("is refused where whoever has the key changed %s", (_what, file, edit) => {
      const copy = edited(file, edit);
      expect(() => verified(copy)).toThrow();
    });

    it.each([/^plan/, /^preflight/, /before/, /after/, /step-005/, /requests/, /summary/, /burst/, /^alerts/, /agreement/, /^decision\.json/, /^decision\.md/, /report/, /rollback/, /looks\/00002/, /checkpoints\/03/, /t-plus-15/, /t-plus-60/, /dashboards/])(
      "is refused where whoever has the key left %s out",
      (pattern) => {
        expect(() => verified(without(pattern))).toThrow();
      },
    );

    it("is refused where the last looks are left out, since nothing ends it then", () => {
      const last = entriesOf(evidence).filter(({ file }) => file.startsWith("looks/")).at(-1);
      expect(() => verified(without(new RegExp(last?.file ?? "")))).toThrow("does not end");
    });

    it("is refused where two looks changed places", () => {
      const copy = forged((folder) => {
        const [a, b] = ["looks/00004.json", "looks/00006.json"].map((file) => join(folder, file));
        const [textA, textB] = [readFileSync(a, "utf8"), readFileSync(b, "utf8")];
        writeFileSync(a, textB.replace('"n": 6', '"n": 4'));
        writeFileSync(b, textA.replace('"n": 4', '"n": 6'));
        return undefined;
      });
      expect(() => verified(copy)).toThrow();
    });

    it("is refused with a file that no release writes", () => {
      const copy = forged((folder, entries) => {
        const text = readFileSync(join(folder, "decision.json"), "utf8");
        writeFileSync(join(folder, "more.json"), text);
        const last = entries.at(-1);
        return [...entries, { n: 0, file: "more.json", bytes: 0, sha256: "", recorded_at: last?.recorded_at ?? "", previous: "" }];
      });
      expect(() => verified(copy)).toThrow("more.json is no part of such a release");
    });

    it("cannot be begun again over what is there", async () => {
      const again = Operator.runs(rehearsal.env, "run", ...RUN, "--evidence", evidence);
      expect(await again.exitCode()).not.toBe(0);
      expect(verified(evidence).outcome).toBe("inconclusive");
    });
  });

  it("is taken back at Ctrl-C, and `status` and `abort` tell of it", async () => {
    const evidence = join(dir, "aborted");
    const rehearsal = await stage.rehearse(ROOT);
    try {
      const operator = Operator.runs(rehearsal.env, "run", ...RUN, "--evidence", evidence, "--load", "4");
      await operator.says("5% of the traffic goes to the candidate");
      expect(await candidateShare(rehearsal)).toBe(5);
      await delay(2_000);
      const status = Operator.runs({}, "status", "--evidence", evidence);
      expect(await status.exitCode()).toBe(0);
      expect(JSON.parse(status.output)).toMatchObject({ state: "watching", is_running: true, step_percent: 5 });
      operator.child.kill("SIGINT");
      expect(await operator.exitCode()).toBe(3);
      expect(await candidateShare(rehearsal)).toBe(0);
      expect(verifyEvidence(evidence, { publicKey: publicKeyOf(rehearsal) })).toMatchObject({ outcome: "rolled_back", reasons: [{ trigger: "operator", signal: "SIGINT" }] });
    } finally {
      await rehearsal.stop();
    }
  });

  it("whose runner was killed is taken back by `abort`, and leaves no evidence that counts", async () => {
    const evidence = join(dir, "killed");
    const rehearsal = await stage.rehearse(ROOT);
    try {
      const operator = Operator.runs(rehearsal.env, "run", ...RUN, "--evidence", evidence, "--load", "4");
      await operator.says("5% of the traffic goes to the candidate");
      operator.child.kill("SIGKILL");
      await operator.exitCode();
      expect(await candidateShare(rehearsal)).toBe(5);
      const abort = Operator.runs({ MEMSEAL_PROXY_SOCKET: rehearsal.env["MEMSEAL_PROXY_SOCKET"] ?? "" }, "abort", "--evidence", evidence);
      expect(await abort.exitCode()).toBe(0);
      expect(await candidateShare(rehearsal)).toBe(0);
      expect(existsSync(join(evidence, SIGNATURE_FILE))).toBe(false);
      expect(() => verifyEvidence(evidence, { publicKey: publicKeyOf(rehearsal) })).toThrow("missing");
    } finally {
      await rehearsal.stop();
    }
  });

  it("of a candidate that fails a third of its requests is rolled back for that, and no caller of stable notices", async () => {
    const evidence = join(dir, "errors");
    const rehearsal = await stage.rehearse(ROOT, { name: "errors", service: "gateway" });
    try {
      rehearsal.beginFault();
      const operator = Operator.runs(rehearsal.env, "run", ...RUN, "--evidence", evidence, "--load", "8");
      expect(await operator.exitCode()).toBe(3);
      expect(operator.output).toMatch(/errors: \d+ breaches|MemsealErrors/);
      expect(await candidateShare(rehearsal)).toBe(0);
      expect(verifyEvidence(evidence, { publicKey: publicKeyOf(rehearsal) }).outcome).toBe("rolled_back");
      const summary = JSON.parse(readFileSync(join(evidence, "load/summary.json"), "utf8")) as { tracks: { stable: { failures: number } }; without_track: number };
      expect(summary).toMatchObject({ tracks: { stable: { failures: 0 } }, without_track: 0 });
    } finally {
      await rehearsal.stop();
    }
  });
});

function entriesOf(bundle: string): ManifestEntry[] {
  return readFileSync(join(bundle, MANIFEST_FILE), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as ManifestEntry);
}

/** Writes a manifest of the files as they are now, with the times that the entries have, and signs it. */
function sign(bundle: string, entries: readonly ManifestEntry[], privateKeyPem: string): void {
  const key = createPrivateKey(privateKeyPem);
  let previous = NOTHING_BEFORE;
  const lines = entries.map((entry, i) => {
    const bytes = readFileSync(join(bundle, entry.file));
    const line = manifestLine({ ...entry, n: i + 1, bytes: bytes.length, sha256: sha256(bytes), previous });
    previous = sha256(line);
    return line;
  });
  writeFileSync(join(bundle, MANIFEST_FILE), `${lines.join("\n")}\n`);
  const facts = parseFacts(openEnvelope(JSON.parse(readFileSync(join(bundle, SIGNATURE_FILE), "utf8")), PAYLOAD_TYPE, createPublicKey(key)));
  writeFileSync(join(bundle, SIGNATURE_FILE), envelopeText(signEnvelope(PAYLOAD_TYPE, Buffer.from(JSON.stringify({ ...facts, entries: lines.length, head: previous })), key)));
}
