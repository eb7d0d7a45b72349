import { createHash, randomUUID, type Hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { MemsealError, type AddedMemory, type NewMemory } from "@memseal/client";
import { AppError, InvalidArgumentError } from "@memseal/errors";
import { z } from "zod";
import { FAILED, type CommandResult } from "./command.js";
import type { Connection } from "./connection.js";
import { itemsOf } from "./file-lines.js";
import { memoryOf, type ImportedMemory } from "./memory-line.js";
import { StateFile } from "./state-file.js";
import { ProgressBar } from "./terminal.js";

export interface ImportRequest {
  file: string;
  /** Checks every line and sends none. */
  dryRun: boolean;
  /** Absent: beside the file. */
  statePath?: string | undefined;
  /** Whose memories they become; absent: whom each line names, else the key's own user. */
  user?: string | undefined;
}

const counts = z.object({ create: z.number(), update: z.number(), duplicate: z.number(), expired: z.number() });
type Counts = z.infer<typeof counts>;

/** How far an import is, and what it is about to send: sent again by whoever goes on, it is the same request. */
const importState = z.strictObject({
  /** Names this import in its idempotency keys: another one of the same file is another. */
  id: z.string(),
  url: z.string(),
  key_id: z.string(),
  user: z.string().optional(),
  /** Memories of the file that are stored. */
  done: z.number(),
  /** Of those, so that a file that has changed is known. */
  done_sha256: z.string(),
  /** Up to here the next call goes. */
  until: z.number(),
  /** What had expired by then is left out of it. */
  as_of: z.string(),
  counts,
});
type ImportState = z.infer<typeof importState>;

/** A call: half of what the service takes, in memories and, as they are usually cut, in chunks. */
const MOST_MEMORIES = 100;
const MOST_CHARACTERS = 40_000;

/** Faults that are told one by one. */
const MOST_FAULTS = 20;

/** A memory that expires while it is sent would be refused. */
const EXPIRY_MARGIN_MS = 300_000;

/** How often a call that took too long is sent again: it may have been carried out, and then is answered at once. */
const PATIENCE = 5;

interface Survey {
  total: number;
  faults: string[];
  faultCount: number;
  /** By member, of how many lines. */
  leftOut: Record<string, number>;
  users: number;
}

/**
 * `memseal import`: every line is checked before the first is sent, then they go in calls of up to 100. A state file beside
 * the file says how far it came; the same command goes on from there, and what was sent and not noted is known by its
 * idempotency key.
 */
export async function importMemories(request: ImportRequest, connect: () => Connection): Promise<CommandResult> {
  const state = new StateFile(request.statePath ?? `${request.file}.import-state`, importState);
  const before = request.dryRun ? undefined : state.load();
  const survey = await surveyOf(request, before);
  if (survey.faultCount > 0) return refused(survey);
  if (request.dryRun) return dryRun(survey);

  const connection = connect();
  if (before !== undefined) requireSame(before, { url: connection.url, key_id: connection.keyId, user: request.user }, state.path);
  const importer = new Importer(connection, request, state, before, survey.total);
  const after = await importer.run();
  return imported(after, survey, before?.done ?? 0);
}

/** Reads the whole file: what is wrong with it, and whether what was stored of it is still its beginning. */
async function surveyOf({ file, user }: ImportRequest, before: ImportState | undefined): Promise<Survey> {
  const survey: Survey = { total: 0, faults: [], faultCount: 0, leftOut: {}, users: 0 };
  const users = new Set<string | undefined>();
  const hash = createHash("sha256");
  for await (const { number, json } of itemsOf(file)) {
    try {
      const { userId, leftOut } = memoryOf(json);
      if (user !== undefined && userId !== undefined && userId !== user) throw new InvalidArgumentError("user_id", "is not the user of --user");
      users.add(userId ?? user);
      for (const name of leftOut) survey.leftOut[name] = (survey.leftOut[name] ?? 0) + 1;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      survey.faultCount++;
      if (survey.faults.length < MOST_FAULTS) survey.faults.push(`line ${number}: ${error.message}`);
    }
    if (survey.total === before?.done) requireBeginning(hash, before);
    survey.total++;
    hash.update(json).update("\n");
  }
  if (before !== undefined && survey.total <= before.done) {
    if (survey.total < before.done) throw changed();
    requireBeginning(hash, before);
  }
  survey.users = users.size;
  return survey;
}

function requireBeginning(hash: Hash, { done_sha256: expected }: ImportState): void {
  if (hash.copy().digest("hex") !== expected) throw changed();
}

function changed(): AppError {
  return new AppError("failed_precondition", "the file has changed where it was imported already: remove its .import-state to import all of it again");
}

function requireSame(before: ImportState, now: Pick<ImportState, "url" | "key_id" | "user">, path: string): void {
  for (const name of ["url", "key_id", "user"] as const) {
    if (before[name] !== now[name]) throw new AppError("failed_precondition", `this import was begun with another ${name === "key_id" ? "key" : name}: give that one, or remove ${path} to begin anew`);
  }
}

interface Sendable extends ImportedMemory {
  number: number;
  json: string;
}

/** Sends what is not stored yet, in the order of the file. */
class Importer {
  readonly #hash = createHash("sha256");
  readonly #progress: ProgressBar;
  #state: ImportState;
  /** Of the next call; fixed where an earlier run announced it. */
  #fixedUntil: number | undefined;
  #fixedAsOf: string | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly request: ImportRequest,
    private readonly file: StateFile<typeof importState>,
    before: ImportState | undefined,
    total: number,
  ) {
    const none = createHash("sha256").digest("hex");
    this.#state = before ?? {
      id: randomUUID(), url: connection.url, key_id: connection.keyId, user: request.user, done: 0, done_sha256: none, until: 0, as_of: "",
      counts: { create: 0, update: 0, duplicate: 0, expired: 0 },
    };
    if (before !== undefined && before.until > before.done) [this.#fixedUntil, this.#fixedAsOf] = [before.until, before.as_of];
    this.#progress = new ProgressBar(process.stderr, "memories", total, this.#state.done);
  }

  async run(): Promise<ImportState> {
    let place = 0;
    let batch: Sendable[] = [];
    const { done } = this.#state;
    try {
      for await (const { number, json } of itemsOf(this.request.file)) {
        place++;
        if (place <= done) {
          this.#hash.update(json).update("\n");
          continue;
        }
        const next = { number, json, ...memoryOf(json) };
        if (batch.length > 0 && this.#endsBefore(batch, next)) {
          await this.#send(batch);
          batch = [];
        }
        batch.push(next);
      }
      if (batch.length > 0) await this.#send(batch);
    } finally {
      this.#progress.end();
    }
    this.file.save(this.#state);
    return this.#state;
  }

  #endsBefore(batch: readonly Sendable[], next: Sendable): boolean {
    if (this.#fixedUntil !== undefined) return this.#state.done + batch.length === this.#fixedUntil;
    const characters = batch.reduce((sum, { memory }) => sum + memory.text.length, next.memory.text.length);
    const isKnown = next.memory.key !== undefined && batch.some(({ memory }) => memory.key === next.memory.key);
    return batch.length === MOST_MEMORIES || characters > MOST_CHARACTERS || isKnown || batch[0].userId !== next.userId;
  }

  /** Halves what the service finds too much: nothing of it was stored then. */
  async #send(batch: readonly Sendable[]): Promise<void> {
    const asOf = this.#fixedAsOf ?? new Date().toISOString();
    [this.#fixedUntil, this.#fixedAsOf] = [undefined, undefined];
    this.#state = { ...this.#state, until: this.#state.done + batch.length, as_of: asOf };
    this.file.save(this.#state);
    const deadline = Date.parse(asOf) + EXPIRY_MARGIN_MS;
    const living = batch.filter(({ memory }) => memory.expiresAt === undefined || (memory.expiresAt as Date).getTime() > deadline);
    let added: AddedMemory[];
    try {
      added = living.length === 0 ? [] : await this.#add(living.map(({ memory }) => memory), batch, asOf);
    } catch (error) {
      if (!(error instanceof MemsealError)) throw error;
      if (isTooMuch(error) && batch.length > 1) {
        const half = Math.ceil(batch.length / 2);
        await this.#send(batch.slice(0, half));
        await this.#send(batch.slice(half));
        return;
      }
      throw this.#stoppedBy(error, living, batch);
    }
    for (const { json } of batch) this.#hash.update(json).update("\n");
    const { counts: sum, done } = this.#state;
    this.#state = {
      ...this.#state,
      done: done + batch.length,
      done_sha256: this.#hash.copy().digest("hex"),
      counts: { ...tally(sum, added), expired: sum.expired + batch.length - living.length },
    };
    this.#progress.show(this.#state.done);
  }

  async #add(memories: readonly NewMemory[], batch: readonly Sendable[], asOf: string): Promise<AddedMemory[]> {
    const { id, done, until } = this.#state;
    const lines = createHash("sha256").update(batch.map(({ json }) => json).join("\n"));
    const idempotencyKey = createHash("sha256").update([id, done, until, asOf, lines.digest("hex")].join(" ")).digest("hex");
    const userId = batch[0].userId ?? this.request.user;
    const user = userId === undefined ? this.connection.user : this.connection.memseal.forUser(userId);
    for (let attempt = 1; ; attempt++) {
      try {
        return await user.add(memories, { idempotencyKey });
      } catch (error) {
        if (!(error instanceof MemsealError && error.code === "deadline_exceeded") || attempt === PATIENCE) throw error;
        await delay(attempt * 1_000);
      }
    }
  }

  #stoppedBy(error: MemsealError, living: readonly Sendable[], batch: readonly Sendable[]): AppError {
    const at = /^memories\[(\d+)\]/.exec(error.field ?? "")?.[1];
    const where = at === undefined ? `lines ${batch[0].number} to ${batch.at(-1)?.number}` : `line ${living[Number(at)]?.number}`;
    return new AppError(error.code, `${where}: ${error.message}; the ${this.#state.done} memories before are stored, and the same command goes on from there`, { cause: error });
  }
}

function isTooMuch({ code, field, status }: MemsealError): boolean {
  return status === 413 || (code === "invalid_argument" && field === "memories");
}

function tally(sum: Counts, added: readonly AddedMemory[]): Counts {
  const next = { ...sum };
  for (const { event } of added) next[event]++;
  return next;
}

function refused({ faults, faultCount, total }: Survey): CommandResult {
  const more = faultCount > faults.length ? [`and ${faultCount - faults.length} more`] : [];
  const lines = [...faults, ...more, `${faultCount} of ${total} memories cannot be imported; nothing was sent`];
  return { text: lines.join("\n"), json: { lines: total, faults, fault_count: faultCount }, exitCode: FAILED };
}

function dryRun({ total, leftOut, users }: Survey): CommandResult {
  return { text: [`${total} memories can be imported${users > 1 ? `, of ${users} users` : ""}; nothing was sent`, ...leftOutLines(leftOut)].join("\n"), json: { lines: total, users, left_out: leftOut } };
}

function imported({ done, counts: sum }: ImportState, { leftOut }: Survey, resumedFrom: number): CommandResult {
  const { create, update, duplicate, expired } = sum;
  const parts = [`${create} new`, ...(update > 0 ? [`${update} updated`] : []), ...(duplicate > 0 ? [`${duplicate} there already`] : []), ...(expired > 0 ? [`${expired} left out as expired`] : [])];
  const resumed = resumedFrom === 0 ? [] : [`${resumedFrom} of them by an earlier run`];
  return {
    text: [`imported ${done} memories: ${[...parts, ...resumed].join(", ")}`, ...leftOutLines(leftOut)].join("\n"),
    json: { lines: done, created: create, updated: update, duplicates: duplicate, expired, resumed_from: resumedFrom, left_out: leftOut },
  };
}

function leftOutLines(leftOut: Readonly<Record<string, number>>): string[] {
  const names = Object.entries(leftOut).map(([name, lines]) => `${name} (${lines})`);
  return names.length === 0 ? [] : [`left out, since no memory here has it: ${names.join(", ")}`];
}
