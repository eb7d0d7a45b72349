import { readFileSync } from "node:fs";
import { toWire, type Deleted, type Filters, type Memory, type Metadata, type SearchAnswer, type SearchRequest, type Selection } from "@memseal/client";
import { command, decimalNumber, jsonObject, listOf, UsageError, wholeNumber } from "./command.js";
import { connect, CONNECTION_ARGS } from "./connection.js";
import { exportMemories } from "./export.js";
import { importMemories } from "./import.js";
import { clip, printable, table } from "./terminal.js";

const FILTERS_ARG = { filters: { type: "string", valueHint: "json", description: 'Only what passes, such as \'{"tags":{"contains":"home"}}\', with the names of the HTTP interface' } } as const;

const TEXT_WIDTH = 100;

export const addCommand = command({
  name: "add",
  description: "Remember a text",
  args: {
    text: { type: "positional", required: true, description: "The text; - reads it from stdin" },
    key: { type: "string", description: "Your own id for it; a memory with this key is updated" },
    tags: { type: "string", valueHint: "a,b", description: "Tags" },
    role: { type: "string", description: "Who speaks, in a conversation" },
    source: { type: "string", description: "Where it comes from" },
    "agent-id": { type: "string", description: "Which agent it belongs to" },
    "run-id": { type: "string", description: "The conversation it is appended to" },
    metadata: { type: "string", valueHint: "json", description: "A JSON object" },
    "occurred-at": { type: "string", valueHint: "time", description: "When it happened, such as 2026-05-08T13:56:00Z; else now" },
    "expires-at": { type: "string", valueHint: "time", description: "When it is deleted by itself" },
    ...CONNECTION_ARGS,
  },
  async run(args) {
    const added = await connect(args, process.env).user.add({
      text: args.text === "-" ? readFileSync(0, "utf8").trimEnd() : args.text,
      key: args.key,
      tags: listOf(args.tags),
      role: args.role,
      source: args.source,
      agentId: args["agent-id"],
      runId: args["run-id"],
      metadata: jsonObject("metadata", args.metadata) as Metadata | undefined,
      occurredAt: args["occurred-at"],
      expiresAt: args["expires-at"],
    });
    return { text: added.event === "create" ? added.id : `${added.id} (${added.event})`, json: toWire(added) };
  },
});

export const searchCommand = command({
  name: "search",
  description: "Find memories by meaning and by words",
  args: {
    query: { type: "positional", required: true, description: "What to look for" },
    "top-k": { type: "string", valueHint: "n", description: "How many, 1 to 100; else 10" },
    ...FILTERS_ARG,
    threshold: { type: "string", valueHint: "x", description: "Least cosine similarity, -1 to 1" },
    "half-life-days": { type: "string", valueHint: "days", description: "Lower the score of what is long past: what happened so long ago counts half" },
    "as-of": { type: "string", valueHint: "time", description: "Leave out what occurred later" },
    "fused-order": { type: "boolean", description: "Do not rerank" },
    explain: { type: "boolean", description: "Show the scores behind each rank" },
    ...CONNECTION_ARGS,
  },
  async run(args) {
    const halfLifeDays = decimalNumber("half-life-days", args["half-life-days"]);
    const request: SearchRequest = {
      topK: wholeNumber("top-k", args["top-k"]),
      filters: filtersOf(args.filters),
      threshold: decimalNumber("threshold", args.threshold),
      decay: halfLifeDays === undefined ? undefined : { halfLifeDays },
      asOf: args["as-of"],
      rerank: args["fused-order"] === true ? false : undefined,
      explain: args.explain,
    };
    const answer = await connect(args, process.env).user.search(args.query, request);
    const rows = args.explain === true ? explained(answer) : found(answer);
    return { text: [...(rows === "" ? [] : [rows, ""]), summary(answer)].join("\n"), json: toWire(answer) };
  },
});

export const listCommand = command({
  name: "list",
  description: "The newest memories, newest first",
  args: { limit: { type: "string", valueHint: "n", description: "How many; else 50" }, ...FILTERS_ARG, ...CONNECTION_ARGS },
  async run(args) {
    const most = wholeNumber("limit", args.limit) ?? 50;
    const memories: Memory[] = [];
    for await (const memory of connect(args, process.env).user.list({ limit: Math.min(100, Math.max(1, most)), filters: filtersOf(args.filters) })) {
      if (memories.length === most) break;
      memories.push(memory);
    }
    return { text: table(memories.map((memory) => [memory.id, memory.occurredAt.slice(0, 10), clip(printable(memory.text), TEXT_WIDTH)])), json: toWire(memories) };
  },
});

export const getCommand = command({
  name: "get",
  description: "One memory, whole",
  args: { id: { type: "positional", required: true, description: "Its id" }, ...CONNECTION_ARGS },
  async run(args) {
    const memory = await connect(args, process.env).user.get(args.id);
    const json = toWire(memory) as Record<string, unknown>;
    const rows = Object.entries(json).map(([name, value]) => [name, printable(typeof value === "string" ? value : JSON.stringify(value))]);
    return { text: table(rows), json };
  },
});

export const deleteCommand = command({
  name: "delete",
  description: "Delete memories: by ids, or exactly one of --key, --filters and --all",
  words: { max: 200 },
  args: {
    ids: { type: "positional", required: false, description: "Their ids" },
    key: { type: "string", description: "The one with this key" },
    ...FILTERS_ARG,
    all: { type: "boolean", description: "Every memory of the user" },
    "dry-run": { type: "boolean", description: "Count, and delete nothing" },
    ...CONNECTION_ARGS,
  },
  async run(args) {
    const filters = filtersOf(args.filters);
    const selections: Selection[] = [
      ...(args._.length > 0 ? [{ ids: args._ }] : []),
      ...(args.key === undefined ? [] : [{ key: args.key }]),
      ...(filters === undefined ? [] : [{ filters }]),
      ...(args.all === true ? [{ all: true } as const] : []),
    ];
    const [selection] = selections;
    if (selection === undefined || selections.length > 1) throw new UsageError("give ids, or exactly one of --key, --filters and --all");
    const { deleted }: Deleted = await connect(args, process.env).user.delete(selection, { dryRun: args["dry-run"] });
    return { text: args["dry-run"] === true ? `${deleted} would be deleted` : `deleted ${deleted}`, json: { deleted } };
  },
});

export const importCommand = command({
  name: "import",
  description: "Add the memories of a file: JSONL as `export` writes it, or what mem0 exports (JSON or JSONL). Run again, it goes on where it was",
  args: {
    file: { type: "positional", required: true, description: "The file" },
    "dry-run": { type: "boolean", description: "Check every line, and send none" },
    state: { type: "string", valueHint: "file", description: "Where it notes how far it came; else <file>.import-state" },
    ...CONNECTION_ARGS,
  },
  run: (args) => importMemories({ file: args.file, dryRun: args["dry-run"] === true, statePath: args.state, user: args.user }, () => connect(args, process.env)),
});

export const exportCommand = command({
  name: "export",
  description: "Write every memory to a file as JSONL, oldest first, in plain text. Run again after an interruption, it goes on where it was",
  args: { file: { type: "positional", required: true, description: "A file that is not there yet" }, ...FILTERS_ARG, ...CONNECTION_ARGS },
  run: (args) => exportMemories({ file: args.file, filters: filtersOf(args.filters), user: args.user }, connect(args, process.env)),
});

/** The names of the HTTP interface are taken as they are: the client translates only its own. */
function filtersOf(text: string | undefined): Filters | undefined {
  return jsonObject("filters", text) as Filters | undefined;
}

function found({ results }: SearchAnswer): string {
  const rows = results.map(({ rank, score, memory, passage }) => [String(rank), score.toFixed(3), memory.id, memory.occurredAt.slice(0, 10), clip(printable(passage.text), TEXT_WIDTH)]);
  return table(rows, { right: [0, 1] });
}

/** A column a score; in brackets the rank by it alone among all that match. */
function explained({ results, reranked }: SearchAnswer): string {
  if (results.length === 0) return "";
  const head = ["rank", "score", "fused", ...(reranked ? ["was", "logit"] : []), "similarity", "bm25", "context", "decay", "memory"];
  const rows = results.map(({ rank, score, originalRank, scores, passage }) => [
    String(rank), score.toFixed(3), number(scores?.fused),
    ...(reranked ? [String(originalRank ?? "-"), number(scores?.rerank)] : []),
    ranked(scores?.similarity, scores?.similarityRank), ranked(scores?.bm25, scores?.bm25Rank), number(scores?.context), number(scores?.decay),
    clip(printable(passage.text), TEXT_WIDTH),
  ]);
  return table([head, ...rows], { right: head.slice(0, -1).map((_, i) => i) });
}

function number(value: number | undefined): string {
  return value === undefined ? "-" : value.toFixed(3);
}

function ranked(value: number | undefined, rank: number | undefined): string {
  return value === undefined ? "-" : `${value.toFixed(3)} (${rank ?? "-"})`;
}

function summary({ results, totalMatching, reranked, rerankSkipped, rerankDepth, dense, denseSkipped, integrityFailures, unknownFields, latencyMs }: SearchAnswer): string {
  return [
    `${results.length} of ${totalMatching} memories, ${latencyMs.total.toFixed(0)} ms`,
    reranked ? `${rerankDepth} candidates reranked` : `in fused order (reranking: ${rerankSkipped ?? "off"})`,
    ...(dense ? [] : [`by words alone (embedding: ${denseSkipped ?? "off"})`]),
    ...(integrityFailures > 0 ? [`${integrityFailures} left out, since they do not open`] : []),
    ...(unknownFields.length > 0 ? [`no memory has ${unknownFields.map(printable).join(", ")}`] : []),
  ].join("; ");
}

