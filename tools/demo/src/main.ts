import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Memseal, type MemsealUser } from "@memseal/client";
import { maya, mayasQuestions, theo, turnsOf, type Conversation } from "./conversations.js";
import { startMemseal } from "./memseal-process.js";
import { rawRow } from "./raw-row.js";

/** Answers that must be among the first three, of 20. */
const REQUIRED = 17;
/** Deep enough to find an answer that ranks badly. */
const TOP_K = 100;
/** Most that one call takes. */
const BATCH = 200;
/** A machine that is busy embeds 200 turns slowly. */
const TIMEOUT_MS = 30_000;

async function demo(home: string): Promise<void> {
  print(`Starting Memseal in ${home}`);
  const memseal = await startMemseal(home);
  let inFirstThree: number;
  let leaks: number;
  try {
    const memoryOf = async (user: string) => new Memseal({ url: memseal.url, apiKey: await memseal.createKey(user), timeoutMs: TIMEOUT_MS }).forUser(user);
    const [mayasMemory, theosMemory] = [await memoryOf(maya.user), await memoryOf(theo.user)];
    const startedAt = performance.now();
    const [mayasIds, theosIds] = [await addTurns(mayasMemory, maya), await addTurns(theosMemory, theo)];
    print(`Embedded, sealed and stored ${mayasIds.size} turns of Maya and ${theosIds.size} of Theo in ${seconds(startedAt)}.\n`);
    inFirstThree = await askMaya(mayasMemory, mayasIds);
    leaks = await askTheo(theosMemory, new Set(theosIds.values()));
  } finally {
    await memseal.stop();
  }
  print("\nOne row of the database, as its superuser reads it:\n");
  for (const [column, value] of Object.entries(await rawRow(join(home, "postgres")))) print(`  ${column.padEnd(12)} ${clip(value, 100)}`);

  const enough = inFirstThree >= REQUIRED && leaks === 0;
  print(`\n${enough ? "OK" : "FAILED"}: ${inFirstThree} of ${mayasQuestions.length} answers in the first three (${REQUIRED} required), ${leaks} foreign turns seen.`);
  process.exitCode = enough ? 0 : 1;
}

/** Stores a conversation; returns memory id by turn id. */
async function addTurns(user: MemsealUser, conversation: Conversation): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  const turns = turnsOf(conversation);
  for (let i = 0; i < turns.length; i += BATCH) {
    const batch = turns.slice(i, i + BATCH);
    const added = await user.add(batch.map(({ text, role, session, tags, occurredAt }) => ({ text, role, source: session, tags, occurredAt })));
    for (const [j, { id }] of added.entries()) ids.set(batch[j].id, id);
  }
  return ids;
}

/** Asks every question and prints where its answer came; returns how many came in the first three. */
async function askMaya(user: MemsealUser, ids: ReadonlyMap<string, string>): Promise<number> {
  print("rank of the answer by           | time in ms                  |");
  print(" BM25  fused  reranked          | embed search rerank   total | question (~: shares no word with its answer)");
  let inFirstThree = 0;
  for (const { question, answer_turn: turn, paraphrased } of mayasQuestions) {
    const { results, reranked, rerankSkipped: skipped, dense, latencyMs: ms } = await user.search(question, { topK: TOP_K, explain: true });
    const answer = results.find(({ memory }) => memory.id === ids.get(turn));
    if (answer !== undefined && answer.rank <= 3) inFirstThree++;
    const note = reranked && dense ? "" : ` dense ${dense}, skipped: ${skipped}`;
    print([
      rank(answer?.scores?.bm25Rank, 5), rank(reranked ? answer?.originalRank : answer?.rank, 7), rank(reranked ? answer?.rank : undefined, 10), note.padEnd(9), "|",
      time(ms.embed), time(ms.search), ` ${time(ms.rerank)}`, ` ${time(ms.total)}`, "|", `${paraphrased ? "~" : " "} ${question}`,
    ].join(""));
  }
  return inFirstThree;
}

/** The other user asks the same: only own turns, at least one each. Returns the number of foreign turns and empty answers. */
async function askTheo(user: MemsealUser, own: ReadonlySet<string>): Promise<number> {
  let seen = 0;
  let wrong = 0;
  for (const { question } of mayasQuestions) {
    const { results } = await user.search(question, { topK: TOP_K });
    seen += results.length;
    wrong += results.filter(({ memory }) => !own.has(memory.id)).length + (results.length === 0 ? 1 : 0);
  }
  print(`\nTheo asked the same ${mayasQuestions.length} questions and got ${seen} turns, ${seen - wrong} of them his own.`);
  return wrong;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function rank(value: number | undefined, width: number): string {
  return (value === undefined ? "-" : String(value)).padStart(width);
}

function time(ms: number): string {
  return ms.toFixed(0).padStart(6);
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}

function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width)}...`;
}

const home = mkdtempSync(join(tmpdir(), "memseal-demo-"));
// Started as root, PostgreSQL runs as another user, who must be able to pass through.
chmodSync(home, 0o711);
try {
  await demo(home);
} finally {
  rmSync(home, { recursive: true, force: true });
}
