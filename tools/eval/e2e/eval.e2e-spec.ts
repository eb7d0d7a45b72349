import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runToExit } from "@memseal/transport/testing";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const DATA = process.env["MEMSEAL_EVAL_DATA"];

interface Report {
  slices: { slice: string; questions: number; figures: Record<string, Record<string, { mean: number; low: number; high: number }>> }[];
  checked: { what: string }[];
}

let dir: string;
let json: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "memseal-eval-spec-"));
  json = join(dir, "report.json");
});

afterEach(() => { rmSync(dir, { recursive: true, force: true }); });

const report = (): Report => JSON.parse(readFileSync(json, "utf8")) as Report;

/** Two sessions of one conversation, in the form of LoCoMo. */
function ownData(): string {
  const say = (session: number) => (text: string, i: number) => ({ speaker: i % 2 === 0 ? "Nora" : "Emil", dia_id: `D${session}:${i + 1}`, text });
  const sample = {
    sample_id: "own",
    conversation: {
      session_1_date_time: "1:56 pm on 8 May, 2023",
      session_1: ["I adopted a beagle last week.", "What do you call him?", "Biscuit. He chews every shoe.", "My kiln finally arrived.", "Will you sell the bowls?", "At the market in June."].map(say(1)),
      session_2_date_time: "9:05 am on 27 June, 2023",
      session_2: ["The market was rained off.", "I still sold eleven bowls.", "My sister moved to Lisbon.", "Does she like it there?", "She misses the snow."].map(say(2)),
    },
    qa: [
      { question: "What is the name of Nora's dog?", evidence: ["D1:3"], category: 4 },
      { question: "Where does Nora's sister live?", evidence: ["D2:3; D2:5"], category: 1 },
      { question: "Who flew to the moon?", evidence: ["D1:1"], category: 5 },
    ],
  };
  mkdirSync(join(dir, "locomo"));
  writeFileSync(join(dir, "locomo", "locomo10.json"), JSON.stringify([sample]));
  return dir;
}

describe("npm run eval", () => {
  it("measures every configuration of a real stack and leaves nothing behind", async () => {
    const { code, lines } = await runToExit(MAIN, { MEMSEAL_EVAL_DATA: ownData() }, ["--data", "locomo", "--json", json]);
    const output = lines.join("\n");
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining("own: 11 documents, 2 of 2 questions") as string });
    const [{ slice, questions, figures }] = report().slices;
    expect([slice, questions]).toEqual(["LoCoMo 0", 2]);
    expect(Object.keys(figures)).toEqual(["bm25", "bm25 + context", "dense", "fused", "fused + context", "fused + context + rerank"]);
    // Eleven turns: ten of them hold nearly every answer, and the dog's name is no word of its question.
    for (const { recallAt10, recallAt50 } of Object.values(figures)) expect([recallAt10.mean >= 0.5, recallAt50.mean]).toEqual([true, 1]);
    expect(figures["fused + context + rerank"]["mrr"].mean).toBeGreaterThan(0.5);
    expect(readdirSync(tmpdir()).filter((name) => /^memseal-eval-(?!spec)/.test(name) && output.includes(name))).toEqual([]);
  });

  it("says that it has no data, which fails where it is to check", async () => {
    expect(await runToExit(MAIN, {})).toMatchObject({ code: 0, lines: [expect.stringMatching(/^skipped: MEMSEAL_EVAL_DATA names no folder/)] });
    expect(await runToExit(MAIN, {}, ["--check"])).toMatchObject({ code: 1 });
  });

  (DATA === undefined ? it.skip : it)("finds on LoCoMo what it should, on the questions of a small conversation", async () => {
    const { code } = await runToExit(MAIN, { MEMSEAL_EVAL_DATA: DATA ?? "" }, ["--data", "locomo", "--conversations", "1", "--questions", "20", "--json", json]);
    expect(code).toBe(0);
    const { slices: [{ figures }], checked } = report();
    // Of so few questions only what is far off would be seen.
    expect(figures["fused + context + rerank"]["recallAt10"].mean).toBeGreaterThan(0.6);
    expect(figures["bm25"]["recallAt10"].mean).toBeGreaterThan(0.4);
    expect(checked).toEqual([]);
  });
});
