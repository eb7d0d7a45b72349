import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { EvidenceError } from "./evidence-error.js";
import { envelopeText, signEnvelope, type Envelope } from "./dsse.js";
import { atLeast, atMost, type Figure } from "./figure.js";
import type { Findings } from "./findings.js";
import { openReport, writeReport, type Report } from "./report.js";

const ours = generateKeyPairSync("ed25519");
const theirs = generateKeyPairSync("ed25519");
const NOW = new Date("2026-11-27T12:00:00.000Z");

const findings = (...figures: Figure[]): Findings => ({
  kind: "perf",
  version: "v0.2.0",
  commit: "0123456789abcdef0123456789abcdef01234567",
  started_at: "2026-11-27T10:00:00.000Z",
  ended_at: "2026-11-27T10:20:00.000Z",
  machine: { cpus: "2 x AMD EPYC", memory_gib: 24, os: "linux 6.1", node: "20.20.2", openssl: "3.0.19" },
  settings: ["one caller"],
  figures: figures.length > 0 ? figures : [{ what: "auth p95", value: 12.5, unit: "ms", limit: atMost(50) }, { what: "recall@10", value: 1, unit: "of 1", limit: atLeast(1) }],
  not_yet: [],
});

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "memseal-report-"));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

const write = (...figures: Figure[]) => writeReport(dir, findings(...figures), ours.privateKey);
const refusal = (file: string, { key = ours.publicKey, now = NOW } = {}): string => {
  try {
    openReport(file, key, now);
  } catch (error) {
    if (error instanceof EvidenceError) return error.message;
    throw error;
  }
  return "opened";
};
const envelopeOf = (file: string) => JSON.parse(readFileSync(file, "utf8")) as Envelope;
const payloadOf = (file: string) => JSON.parse(Buffer.from(envelopeOf(file).payload, "base64").toString()) as Report;
/** As somebody would who has no key: the signature stays. */
const repack = (file: string, change: (report: Report) => object) => {
  writeFileSync(file, envelopeText({ ...envelopeOf(file), payload: Buffer.from(JSON.stringify({ ...payloadOf(file), ...change(payloadOf(file)) })).toString("base64") }));
};
/** As whoever has the key could. */
const sign = (file: string, change: (report: Report) => object) => {
  writeFileSync(file, envelopeText(signEnvelope(envelopeOf(file).payloadType, Buffer.from(JSON.stringify({ ...payloadOf(file), ...change(payloadOf(file)) })), ours.privateKey)));
};

describe("a report of an approval", () => {
  it("opens as it was written, named after kind, version and commit, with the same for people beside it", () => {
    const file = write();
    expect(readdirSync(dir).sort()).toEqual(["perf-v0.2.0-0123456789ab.json", "perf-v0.2.0-0123456789ab.md"]);
    expect(openReport(file, ours.publicKey, NOW)).toMatchObject({ ...findings(), passed: true });
    const markdown = readFileSync(file.replace(/json$/, "md"), "utf8");
    for (const shown of ["# Performance approval of v0.2.0: passed", "0123456789abcdef0123456789abcdef01234567", "2026-11-27T10:00:00.000Z", "2 x AMD EPYC", "one caller", "| auth p95 | 12.5 ms | at most 50 ms | kept |"]) expect(markdown).toContain(shown);
  });

  it.each<[string, Figure]>([
    ["is over its limit", { what: "auth p95", value: 50.1, unit: "ms", limit: atMost(50) }],
    ["is under what it must reach", { what: "recall@10", value: 0.99, unit: "of 1", limit: atLeast(1) }],
    ["was not measured", { what: "auth p95", value: null, unit: "ms", limit: atMost(50) }],
  ])("of which one figure %s says that it failed, in both of its files", (_how, figure) => {
    const file = write({ what: "good", value: 0, unit: "", limit: atMost(0) }, figure);
    expect(openReport(file, ours.publicKey, NOW).passed).toBe(false);
    expect(readFileSync(file.replace(/json$/, "md"), "utf8")).toMatch(/^# Performance approval of v0.2.0: FAILED\n[^]*## Failed\n\n- (auth p95|recall@10)\n/);
  });

  it("that limits nothing has not passed", () => {
    expect(openReport(write({ what: "auth p95", value: 1, unit: "ms" }), ours.publicKey, NOW).passed).toBe(false);
  });

  it("is not written over: what was found stays", () => {
    write();
    expect(() => write()).toThrow("perf-v0.2.0-0123456789ab.json is written already");
  });

  it("is signed by an Ed25519 key or not written", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    expect(() => writeReport(dir, findings(), createPrivateKey(rsa.export({ type: "pkcs8", format: "pem" })))).toThrow(EvidenceError);
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe("a report that was tampered with does not open:", () => {
  it.each<[string, (report: Report) => object]>([
    ["a figure", ({ figures }) => ({ figures: figures.map((figure) => ({ ...figure, value: 1 })) })],
    ["a limit", ({ figures }) => ({ figures: figures.map((figure) => ({ ...figure, limit: atMost(1_000) })) })],
    ["a figure left out", ({ figures }) => ({ figures: figures.slice(1) })],
    ["the order of figures", ({ figures }) => ({ figures: figures.toReversed() })],
    ["the verdict", ({ passed }) => ({ passed: !passed })],
    ["the commit", () => ({ commit: "f".repeat(40) })],
    ["the version", () => ({ version: "v9.9.9" })],
    ["the kind", () => ({ kind: "security" })],
    ["the date", () => ({ ended_at: "2026-11-27T11:00:00.000Z" })],
    ["the machine", ({ machine }) => ({ machine: { ...machine, cpus: "64 x other" } })],
    ["the settings", () => ({ settings: [] })],
    ["what is not yet", () => ({ not_yet: ["something"] })],
    ["the hash of its Markdown", () => ({ markdown_sha256: "0".repeat(64) })],
  ])("%s", (_what, change) => {
    const file = write();
    repack(file, change);
    expect(refusal(file)).toMatch(/^the signature is not of the key/);
  });

  it("any byte of either file", () => {
    const file = write();
    for (const path of [file, file.replace(/json$/, "md")]) {
      const bytes = readFileSync(path);
      for (let i = 0; i < bytes.length; i++) {
        const altered = Buffer.from(bytes);
        altered[i] = (altered[i] ?? 0) ^ 1;
        writeFileSync(path, altered);
        expect([i, refusal(file)]).not.toEqual([i, "opened"]);
      }
      writeFileSync(path, bytes);
    }
    expect(refusal(file)).toBe("opened");
  });

  it("another form of the same JSON", () => {
    const file = write();
    writeFileSync(file, JSON.stringify(envelopeOf(file)));
    expect(refusal(file)).toBe(`${basename(file)} is not as it was written`);
  });

  it("its Markdown altered, or gone", () => {
    const file = write();
    const markdown = file.replace(/json$/, "md");
    writeFileSync(markdown, readFileSync(markdown, "utf8").replace("12.5", "11.5"));
    expect(refusal(file)).toBe("perf-v0.2.0-0123456789ab.md is not as it was written");
    rmSync(markdown);
    expect(refusal(file)).toBe("perf-v0.2.0-0123456789ab.md is missing");
  });

  it("the name of another commit, version or kind", () => {
    const file = write();
    for (const other of ["perf-v0.2.0-aaaaaaaaaaaa.json", "perf-v0.3.0-0123456789ab.json", "security-v0.2.0-0123456789ab.json"]) {
      renameSync(file, join(dir, other));
      expect(refusal(join(dir, other))).toBe(`${other} is the report perf-v0.2.0-0123456789ab.json`);
      renameSync(join(dir, other), file);
    }
  });

  it("signed by another key", () => {
    expect(refusal(write(), { key: theirs.publicKey })).toMatch(/^the signature is not of the key/);
  });

  it("the signature of something else that the same key signed", () => {
    const file = write();
    writeFileSync(file, envelopeText(signEnvelope("application/vnd.memseal.release-evidence+json", Buffer.from(JSON.stringify(payloadOf(file))), ours.privateKey)));
    expect(refusal(file)).toMatch(/^the signature is of something else/);
  });

  it("one that failed and says that it passed, though the key signed it", () => {
    const file = write({ what: "auth p95", value: 80, unit: "ms", limit: atMost(50) });
    sign(file, () => ({ passed: true }));
    expect(refusal(file)).toBe("the report says that it passed, and its figures say otherwise");
  });

  it("one that ends before it starts, or in the future, though the key signed it", () => {
    const file = write();
    sign(file, () => ({ started_at: "2026-11-27T10:30:00.000Z" }));
    expect(refusal(file)).toBe("the report ends before it starts");
    sign(file, () => ({ started_at: "2026-11-27T10:00:00.000Z" }));
    expect(refusal(file)).toBe("opened");
    expect(refusal(file, { now: new Date("2026-11-27T10:19:59.000Z") })).toBe("the report is from the future");
  });

  it("one that is gone", () => {
    expect(refusal(join(dir, "perf-v0.2.0-0123456789ab.json"))).toBe("perf-v0.2.0-0123456789ab.json is missing");
  });
});
