import { existsSync, renameSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Filters } from "@memseal/client";
import { AppError } from "@memseal/errors";
import { z } from "zod";
import type { CommandResult } from "./command.js";
import type { Connection } from "./connection.js";
import { linesBackwards } from "./file-lines.js";
import { lineOf } from "./memory-line.js";
import { notWritten, StateFile } from "./state-file.js";
import { ProgressBar } from "./terminal.js";

export interface ExportRequest {
  file: string;
  filters?: Filters | undefined;
  user?: string | undefined;
}

/** How far an export is. */
const exportState = z.strictObject({
  url: z.string(),
  key_id: z.string(),
  user: z.string().optional(),
  filters: z.string(),
  /** Of the next page; absent once there is none. */
  cursor: z.string().optional(),
  /** Of the gathered file that hold whole pages. */
  bytes: z.number(),
  memories: z.number(),
});
type ExportState = z.infer<typeof exportState>;

const PAGE = 100;

/**
 * `memseal export`: gathers page after page, newest first as the service lists them, then writes the file oldest first: an
 * import appends the turns of a conversation in the order of its file. The same command goes on where one was interrupted.
 */
export async function exportMemories(request: ExportRequest, connection: Connection): Promise<CommandResult> {
  const { file } = request;
  if (existsSync(file)) throw new AppError("already_exists", `${file} is there already: choose another name, or remove it`);
  const gathered = `${file}.partial`;
  const stateFile = new StateFile(`${file}.export-state`, exportState);
  const before = stateFile.load();
  const begun = { url: connection.url, key_id: connection.keyId, user: request.user, filters: JSON.stringify(request.filters ?? {}), bytes: 0, memories: 0 };
  if (before !== undefined) requireSame(before, begun, stateFile.path);
  const state = await gather(gathered, { request, connection, stateFile, before, begun });
  await reverse(gathered, file, state.bytes);
  rmSync(stateFile.path);
  rmSync(gathered);
  return { text: `exported ${state.memories} memories to ${file}, in plain text: keep it as you would keep a key`, json: { memories: state.memories, file } };
}

interface GatherParts {
  request: ExportRequest;
  connection: Connection;
  stateFile: StateFile<typeof exportState>;
  before: ExportState | undefined;
  begun: ExportState;
}

async function gather(gathered: string, { request, connection, stateFile, before, begun }: GatherParts): Promise<ExportState> {
  let state = before ?? begun;
  if (before !== undefined && before.memories > 0 && before.cursor === undefined) return before;
  const progress = new ProgressBar(process.stderr, "memories", undefined, state.memories);
  const out = await open(gathered, before === undefined ? "w" : "r+", 0o600).catch((cause: unknown) => { throw notWritten(gathered, cause); });
  try {
    // What was written after the last note of how far it came is gathered again.
    await out.truncate(state.bytes);
    do {
      const { results, nextCursor } = await connection.user.listPage({ limit: PAGE, cursor: state.cursor, filters: request.filters });
      const lines = Buffer.from(results.map((memory) => `${lineOf(memory)}\n`).join(""));
      await out.write(lines, 0, lines.length, state.bytes);
      await out.datasync();
      state = { ...state, cursor: nextCursor, bytes: state.bytes + lines.length, memories: state.memories + results.length };
      stateFile.save(state);
      progress.show(state.memories);
    } while (state.cursor !== undefined);
  } finally {
    progress.end();
    await out.close();
  }
  return state;
}

/** Whole or not at all. */
async function reverse(from: string, to: string, bytes: number): Promise<void> {
  const source = await open(from, "r");
  const target = await open(`${to}.reversed`, "w", 0o600);
  try {
    for await (const line of linesBackwards(source, bytes)) await target.write(Buffer.concat([line, Buffer.from("\n")]));
    await target.datasync();
  } finally {
    await source.close();
    await target.close();
  }
  renameSync(`${to}.reversed`, to);
}

function requireSame(before: ExportState, now: ExportState, path: string): void {
  for (const name of ["url", "key_id", "user", "filters"] as const) {
    if (before[name] !== now[name]) throw new AppError("failed_precondition", `this export was begun with another ${name === "key_id" ? "key" : name}: give that one, or remove ${path} to begin anew`);
  }
}
