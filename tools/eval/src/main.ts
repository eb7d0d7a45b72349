import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { checked, verdict } from "./check.js";
import type { Corpus } from "./corpus.js";
import { readDataSet, type DataSet } from "./data-sets.js";
import { evaluate, type QuestionScores } from "./evaluate.js";
import { EvaluatedUser } from "./evaluated-user.js";
import { figuresOf, locomoSlices, SLICE, type Slice } from "./figures.js";
import { startLocalMemseal, type LocalMemseal } from "./local-memseal.js";
import { parseOptions, type Options } from "./options.js";
import { checkTable, sliceTable } from "./report.js";

/** Quality must not depend on how busy the machine is: an answer that was not reranked, or by fewer candidates, would be another configuration's. */
const PATIENCE = { MEMSEAL_RERANK_TIMEOUT_MS: "10000", MEMSEAL_RERANK_MIN_DEPTH: "100" };
const PROGRESS_EVERY = 25;

const options = parseOptions(process.argv.slice(2));
const dataDir = process.env["MEMSEAL_EVAL_DATA"];
if (dataDir === undefined) {
  print("skipped: MEMSEAL_EVAL_DATA names no folder with evaluation data (docs/benchmarks.md says which)");
  process.exitCode = options.check ? 1 : 0;
} else {
  await run(options, dataDir);
}

async function run({ dataSets, conversations, questions, check, json }: Options, dir: string): Promise<void> {
  const settings = { ...PATIENCE, ...memsealVariables() };
  const environment = environmentOf(settings);
  for (const line of environment) print(line);
  const memseal = await startLocalMemseal(settings);
  const slices: Slice[] = [];
  try {
    for (const dataSet of dataSets) slices.push(...(await measure(memseal, dataSet, { dir, conversations, questions })));
  } finally {
    await memseal.stop();
  }
  const measured = slices.map(figuresOf);
  for (const one of measured) print(`\n${sliceTable(one)}`);
  const rows = questions === undefined ? checked(measured) : [];
  if (rows.length > 0) print(`\n${checkTable(rows)}`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ environment, slices: measured, checked: rows }, undefined, 2)}\n`);
  const missed = rows.filter((row) => verdict(row) === "MISSED").length;
  if (missed > 0) print(`${missed} of ${rows.length} figures miss their commit`);
  process.exitCode = check && missed > 0 ? 1 : 0;
}

/** Each corpus as a user of its own. */
async function measure(memseal: LocalMemseal, dataSet: DataSet, { dir, conversations, questions }: { dir: string } & Pick<Options, "conversations" | "questions">): Promise<Slice[]> {
  const corpora = readDataSet(dataSet, dir);
  const chosen = dataSet === "locomo" && conversations !== undefined ? conversations : [...corpora.keys()];
  const scores = new Map<number, QuestionScores[]>();
  for (const number of chosen) {
    const corpus = corpora[number];
    if (corpus === undefined) throw new Error(`there is no conversation ${number}: they are 0 to ${corpora.length - 1}`);
    scores.set(number, await ask(memseal, { ...corpus, questions: corpus.questions.slice(0, questions) }));
  }
  return dataSet === "locomo" ? locomoSlices(scores) : [{ name: SLICE.scifact, questions: [...scores.values()].flat() }];
}

async function ask(memseal: LocalMemseal, corpus: Corpus): Promise<QuestionScores[]> {
  const startedAt = performance.now();
  const seconds = (): string => `${Math.round((performance.now() - startedAt) / 1_000)} s`;
  const user = new EvaluatedUser(memseal.url, await memseal.createKey(corpus.name));
  return evaluate(user, corpus, (asked) => {
    const total = corpus.questions.length;
    if (asked % PROGRESS_EVERY === 0 || asked === total) print(`${corpus.name}: ${corpus.documents.length} documents, ${asked} of ${total} questions, ${seconds()}`);
  });
}

/** Settings of the evaluated services, such as MEMSEAL_RERANK_WEIGHT, reach them from here. */
function memsealVariables(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (name.startsWith("MEMSEAL_") && name !== "MEMSEAL_EVAL_DATA" && value !== undefined ? [[name, value]] : [])));
}

function environmentOf(settings: Readonly<Record<string, string>>): string[] {
  const git = (...args: string[]): string => spawnSync("git", args, { encoding: "utf8" }).stdout.trim();
  const changes = git("status", "--porcelain") === "" ? "" : ", with changes";
  return [
    `commit ${git("rev-parse", "--short", "HEAD") || "unknown"}${changes}; ${new Date().toISOString().slice(0, 10)}; Node ${process.versions.node}`,
    `${cpus().length} x ${cpus()[0]?.model ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    `settings: ${Object.entries(settings).map(([name, value]) => `${name}=${value}`).join(" ")}`,
  ];
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
