import { spawn } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { envelopeText, EvidenceError, keyIdOf, openEnvelope, sha256, signEnvelope, type Envelope } from "@memseal/evidence";
import fc from "fast-check";
import { Chain, MANIFEST_FILE, manifestLine, PAYLOAD_TYPE, parseFacts, SIGNATURE_FILE, type BundleFacts, type ManifestEntry } from "./manifest.js";
import { openBundle } from "./open-bundle.js";
import { BundleRecorder, headerText } from "./recorder.js";

const HEADER = { release: "v0.2.0", mode: "local-demo", time_scale: 12 } as const;
const START_MS = Date.parse("2026-11-27T10:00:00.000Z");
const NOW = new Date("2026-11-27T11:00:00.000Z");
const ours = generateKeyPairSync("ed25519");

let root: string;
let dir: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "memseal-bundle-"));
  dir = join(root, "bundle");
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** A second passes from one call to the next. */
function clock(): () => Date {
  let ms = START_MS;
  return () => new Date((ms += 1_000));
}

function recorded(key: KeyObject = ours.privateKey): BundleFacts {
  const recorder = BundleRecorder.create(dir, HEADER, clock());
  recorder.recordJson("plan.json", { weights: [5, 25, 50, 100] });
  recorder.recordRows("load/requests.jsonl", [{ at: "2026-11-27T10:00:02.000Z", track: "canary", ms: 12 }, { at: "2026-11-27T10:00:03.000Z", track: "stable", ms: 14 }]);
  recorder.recordJson("looks/0001.json", { query: "up", response: { status: "success" } });
  recorder.recordDocument("decision.md", `# Decision\n\n${headerText(HEADER)}\n\npromote\n`);
  return recorder.close("promoted", key);
}

const open = (now = NOW) => openBundle(dir, { publicKey: ours.publicKey, now });
const refusal = (now = NOW): string => {
  try {
    open(now);
  } catch (error) {
    if (error instanceof EvidenceError) return error.message;
    throw error;
  }
  return "opened";
};
const path = (file: string) => join(dir, file);
const entries = () => readFileSync(path(MANIFEST_FILE), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as ManifestEntry);
const change = (file: string, from: string | RegExp, to: string) => {
  const before = readFileSync(path(file), "utf8");
  const after = before.replace(from, to);
  if (after === before) throw new Error(`${file} holds no ${String(from)}`);
  writeFileSync(path(file), after);
};

/** Everything again as somebody would write it who has no key: chain and hashes agree with each other. */
function rewriteManifest(list: readonly ManifestEntry[]): void {
  let previous = "0".repeat(64);
  const lines = list.map((entry, i) => {
    const content = readFileSync(path(entry.file));
    const line = manifestLine({ ...entry, n: i + 1, bytes: content.length, sha256: sha256(content), previous });
    previous = sha256(line);
    return line;
  });
  writeFileSync(path(MANIFEST_FILE), lines.map((line) => `${line}\n`).join(""));
}

describe("evidence bundle", () => {
  it("opens as it was recorded, each file with release, mode and time scale", () => {
    const facts = recorded();
    const bundle = open();
    expect(bundle.facts).toEqual(facts);
    expect(facts).toMatchObject({ ...HEADER, outcome: "promoted", entries: 4, started_at: "2026-11-27T10:00:01.000Z", ended_at: "2026-11-27T10:00:06.000Z" });
    expect(bundle.entries.map(({ file }) => file)).toEqual(["plan.json", "load/requests.jsonl", "looks/0001.json", "decision.md"]);
    expect(JSON.parse(bundle.text("plan.json"))).toEqual({ header: HEADER, weights: [5, 25, 50, 100] });
    expect(bundle.text("load/requests.jsonl").split("\n")[0]).toBe(JSON.stringify({ header: HEADER }));
    expect(() => bundle.text("other.json")).toThrow("other.json is missing");
  });

  it.each(["plan.json", "load/requests.jsonl", "looks/0001.json", "decision.md", MANIFEST_FILE, SIGNATURE_FILE])("is refused without %s", (file) => {
    recorded();
    rmSync(path(file));
    expect(refusal()).toBe(`${file} is missing`);
  });

  it.each(["plan.json", "load/requests.jsonl", "looks/0001.json", "decision.md"])("is refused with another byte in %s", (file) => {
    recorded();
    const bytes = readFileSync(path(file));
    bytes[bytes.length - 3] ^= 1;
    writeFileSync(path(file), bytes);
    expect(refusal()).toBe(`${file} is not as it was recorded`);
  });

  it("is refused with a byte changed anywhere", () => {
    recorded();
    const files = [...entries().map(({ file }) => file), MANIFEST_FILE, SIGNATURE_FILE];
    fc.assert(fc.property(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 1, max: 255 }), (file, at, flip) => {
      const bytes = readFileSync(path(file));
      const changed = Buffer.from(bytes);
      changed[at % bytes.length] ^= flip;
      writeFileSync(path(file), changed);
      try {
        expect(refusal()).not.toBe("opened");
      } finally {
        writeFileSync(path(file), bytes);
      }
    }), { numRuns: 300 });
    expect(refusal()).toBe("opened");
  });

  it.each<[string, () => void, string]>([
    ["a number in a file, its hash put right", () => { change("looks/0001.json", "success", "failure"); rewriteManifest(entries()); }, "MANIFEST.jsonl is not the one that was signed"],
    ["a date of the manifest, the chain put right", () => { rewriteManifest(entries().map((entry) => ({ ...entry, recorded_at: "2026-11-27T10:00:05.500Z" }))); }, "MANIFEST.jsonl is not the one that was signed"],
    ["the order of two entries, the chain put right", () => { const [a, b, ...rest] = entries(); rewriteManifest([{ ...b, recorded_at: a.recorded_at }, a, ...rest]); }, "MANIFEST.jsonl is not the one that was signed"],
    ["an entry left out with its file, the chain put right", () => { rmSync(path("looks/0001.json")); rewriteManifest(entries().filter(({ file }) => file !== "looks/0001.json")); }, "MANIFEST.jsonl is not the one that was signed"],
    ["a date in the manifest", () => { change(MANIFEST_FILE, "10:00:03.000Z", "10:00:03.500Z"); }, "MANIFEST.jsonl line 3 does not follow the line before"],
    ["two lines of the manifest in another order", () => { const [a, b, ...rest] = readFileSync(path(MANIFEST_FILE), "utf8").split("\n"); writeFileSync(path(MANIFEST_FILE), [b, a, ...rest].join("\n")); }, "MANIFEST.jsonl line 1 is number 2"],
    ["a file more", () => { writeFileSync(path("looks/0002.json"), "{}"); }, "looks/0002.json was not recorded"],
    ["a link in place of a file", () => { renameSync(path("plan.json"), join(root, "plan.json")); symlinkSync(join(root, "plan.json"), path("plan.json")); }, "plan.json was not recorded"],
    ["two files that have changed places", () => { renameSync(path("plan.json"), path("x")); renameSync(path("looks/0001.json"), path("plan.json")); renameSync(path("x"), path("looks/0001.json")); }, "plan.json is not as it was recorded"],
    ["the last line of the manifest cut off", () => { change(MANIFEST_FILE, /\n[^\n]*\n$/, "\n"); }, "MANIFEST.jsonl is not the one that was signed"],
    ["half a line added", () => { appendFileSync(path(MANIFEST_FILE), "{"); }, "MANIFEST.jsonl does not end with a whole line"],
    ["spaces in the manifest", () => { change(MANIFEST_FILE, '"n":1,', '"n": 1,'); }, "MANIFEST.jsonl line 1 is no entry"],
  ])("is refused with %s", (_what, tamper, why) => {
    recorded();
    tamper();
    expect(refusal()).toBe(why);
  });

  it("is refused where somebody else signed it, whatever the envelope says of its key", () => {
    recorded(generateKeyPairSync("ed25519").privateKey);
    const envelope = JSON.parse(readFileSync(path(SIGNATURE_FILE), "utf8")) as Envelope;
    envelope.signatures[0].keyid = keyIdOf(ours.publicKey);
    writeFileSync(path(SIGNATURE_FILE), envelopeText(envelope));
    expect(refusal()).toMatch(/^the signature is not of the key [0-9a-f]{64}$/);
  });

  it("is refused with the signature of another bundle of the same key", () => {
    recorded();
    cpSync(path(SIGNATURE_FILE), join(root, SIGNATURE_FILE));
    rmSync(dir, { recursive: true });
    const recorder = BundleRecorder.create(dir, HEADER, clock());
    recorder.recordJson("plan.json", { weights: [100] });
    recorder.close("promoted", ours.privateKey);
    cpSync(join(root, SIGNATURE_FILE), path(SIGNATURE_FILE));
    expect(refusal()).toBe("MANIFEST.jsonl is not the one that was signed");
  });

  it("is refused with spaces in the envelope", () => {
    recorded();
    change(SIGNATURE_FILE, '"payload": ', '"payload":  ');
    expect(refusal()).toBe("MANIFEST.dsse.json is not as it was written");
  });

  it("is refused before it has ended", () => {
    recorded();
    expect(refusal(new Date(START_MS))).toBe("the bundle ends in the future");
  });

  it("is refused by its own key, too, with a file of another release or time scale", () => {
    const recorder = BundleRecorder.create(dir, HEADER, clock());
    const other = BundleRecorder.create(join(root, "other"), { ...HEADER, time_scale: 1 }, clock());
    other.recordJson("plan.json", {});
    recorder.recordJson("plan.json", {});
    recorder.close("promoted", ours.privateKey);
    cpSync(join(root, "other/plan.json"), path("plan.json"));
    rewriteManifest(entries());
    const [entry] = entries();
    const { entries: count, ...facts } = parseFacts(openEnvelope(JSON.parse(readFileSync(path(SIGNATURE_FILE), "utf8")), PAYLOAD_TYPE, ours.publicKey));
    const signed = signEnvelope(PAYLOAD_TYPE, Buffer.from(JSON.stringify({ ...facts, entries: count, head: sha256(manifestLine(entry)) })), ours.privateKey);
    writeFileSync(path(SIGNATURE_FILE), envelopeText(signed));
    expect(refusal()).toBe("plan.json is of another release, mode or time scale");
  });
});

describe("BundleRecorder", () => {
  it("never overwrites: neither a bundle nor a file of it", () => {
    const recorder = BundleRecorder.create(dir, HEADER, clock());
    recorder.recordJson("plan.json", {});
    expect(() => { recorder.recordJson("plan.json", {}); }).toThrow("names plan.json twice");
    expect(() => BundleRecorder.create(dir, HEADER, clock())).toThrow("evidence is never overwritten");
  });

  it.each(["../plan.json", "/plan.json", "a/../b.json", "a//b.json", "", "Plan.json", ".hidden", "a/.b", "a b"])("does not record under the name %p", (file) => {
    const recorder = BundleRecorder.create(dir, HEADER, clock());
    expect(() => { recorder.recordJson(file, {}); }).toThrow(EvidenceError);
  });

  it("does not record a document that does not say what it is of", () => {
    expect(() => { BundleRecorder.create(dir, HEADER, clock()).recordDocument("decision.md", "promote"); }).toThrow("does not say which release");
  });

  it("refuses a clock that goes back", () => {
    const times = [2_000, 3_000, 1_000].map((ms) => new Date(START_MS + ms));
    const recorder = BundleRecorder.create(dir, HEADER, () => times.shift() ?? NOW);
    recorder.recordJson("plan.json", {});
    expect(() => { recorder.recordJson("decision.json", {}); }).toThrow("is earlier than the line before");
  });

  it("has on the disk what it recorded, killed -9 at any moment", async () => {
    const fixture = fileURLToPath(new URL("./recorder.fixture.ts", import.meta.url));
    const child = spawn(process.execPath, ["--conditions=@memseal/source", "--import", "tsx", fixture, dir], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.split("\n").length > 20) child.kill("SIGKILL");
    });
    await once(child, "close");
    const acknowledged = said.split("\n").length - 1;
    const { entries: found } = Chain.parse(readFileSync(path(MANIFEST_FILE), "utf8"));
    expect(found.length).toBeGreaterThanOrEqual(acknowledged);
    for (const { file, sha256: hash } of found) expect(sha256(readFileSync(path(file)))).toBe(hash);
  });

  it("adds nothing once it is closed, and does not close on nothing", () => {
    expect(() => BundleRecorder.create(join(root, "empty"), HEADER, clock()).close("promoted", ours.privateKey)).toThrow("nothing was recorded");
    const recorder = BundleRecorder.create(dir, HEADER, clock());
    recorder.recordJson("plan.json", {});
    recorder.close("inconclusive", ours.privateKey);
    expect(() => { recorder.recordJson("late.json", {}); }).toThrow("the bundle is closed");
    expect(() => recorder.close("promoted", ours.privateKey)).toThrow("the bundle is closed");
  });

  it.each([{ ...HEADER, release: "next" }, { ...HEADER, time_scale: 0 }, { ...HEADER, mode: "plan" as never }])("refuses the header %j", (header) => {
    expect(() => BundleRecorder.create(dir, header)).toThrow("no header of a bundle");
  });
});
