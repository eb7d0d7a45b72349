import { AppError, DeadlineExceededError, OverloadedError } from "@memseal/errors";

/** How long somebody waits for a call, and who it is. */
export interface CallScope {
  /** Aborts when the caller leaves. */
  readonly signal: AbortSignal;
  /** Unix time in milliseconds; Infinity for no end. */
  readonly deadlineMs: number;
  /** Whose calls take turns with those of others; says nothing else. */
  readonly caller: string;
}

/** What is done with the items of calls. Those of different calls go together where the work is the same object. */
export interface Work<Worker, Item, Result> {
  /** A result an item, in their order. */
  run(worker: Worker, items: readonly Item[]): Promise<readonly Result[]>;
  /** What an item costs. */
  tokensOf(item: Item): number;
  /** Of one run, where each item counts as much as the longest of them; one of more goes alone. 0: one item a run. */
  readonly maxTokens: number;
}

/** Work that is done with one item at a time, each costing the same. */
export function oneAtATime<Worker, Item, Result>(run: (worker: Worker, item: Item) => Promise<Result>): Work<Worker, Item, Result> {
  return { run: async (worker, [item]) => [await run(worker, item)], tokensOf: () => 1, maxTokens: 0 };
}

export interface LaneSpec {
  /** Items that may be ahead of a new call. */
  readonly capacity: number;
  /** Items of one caller before it is another's turn. */
  readonly turn: number;
}

/** A call whose items come one after the other. */
export interface OpenCall<Item, Result> {
  /** Each index once. Of a call that is over nothing is taken. */
  add(index: number, item: Item): void;
  /** Ends it with an error of its caller's. */
  fail(error: Error): void;
  /** Results in the order of the items. @throws as `submit`. Without somebody who waits for it, no rejection is unhandled. */
  readonly done: Promise<Result[]>;
}

/** Told what happens, for whoever counts it. */
export interface BatcherObserver<LaneName> {
  /** tokens: as the model sees them, each item as long as the longest. */
  onRun?(lane: LaneName, run: { items: number; tokens: number }): void;
  /** Of a call that got all its results. queuedMs: from its first item's arrival to its first run; ranMs: from there to the end of the last. */
  onDone?(lane: LaneName, call: { queuedMs: number; ranMs: number }): void;
}

/** Items, and the tokens that they have together. */
interface Cost {
  items: number;
  tokens: number;
}

/** How much of the newest run counts in the time that a token is expected to take. */
const NEWEST = 0.1;
/** Of the time of a call that may be shortened: what it takes beyond that, it would take from those who come next. */
const SHARE = 0.6;

interface Entry<Worker> {
  readonly call: Call<Worker>;
  readonly index: number;
  readonly item: unknown;
  readonly tokens: number;
}

/** Of one lane. */
interface Caller<Worker> {
  readonly name: string;
  readonly calls: Call<Worker>[];
  /** Items of its turn that have been taken. */
  taken: number;
}

interface Lane<Worker> extends LaneSpec {
  readonly name: string;
  /** Callers of whom something waits, in the order of their turns. */
  readonly callers: Caller<Worker>[];
  /** Of a worker, by the tokens that were expected: where these are guessed badly, they are so of what waits, too. Undefined until something ran. */
  msPerToken: number | undefined;
}

interface Run<Worker> {
  readonly lane: Lane<Worker>;
  readonly work: Work<Worker, unknown, unknown>;
  readonly entries: Entry<Worker>[];
  longest: number;
}

/**
 * Gives the items of calls to a fixed set of workers, one run a worker at a time, without waiting for more to come. Lanes are in order of
 * priority; within one, callers take turns, and calls of a caller are in order of arrival, the shortest item of a call first. A run
 * holds what fits its budget, of whomever. A call is refused at once where too much is ahead of it, or where it could not be done before
 * its deadline. What is left of it is dropped, before it gets into a run, when its caller leaves, its deadline passes or a run of it fails.
 */
export class Batcher<Worker, LaneName extends string> {
  readonly #workers: number;
  readonly #idle: Worker[];
  readonly #lanes: ReadonlyMap<LaneName, Lane<Worker>>;

  /** lanes: most urgent first. */
  constructor(workers: readonly Worker[], lanes: Readonly<Record<LaneName, LaneSpec>>, private readonly observer: BatcherObserver<LaneName> = {}) {
    this.#workers = workers.length;
    this.#idle = [...workers];
    this.#lanes = new Map((Object.entries(lanes) as [LaneName, LaneSpec][]).map(([name, spec]) => [name, { ...spec, name, callers: [], msPerToken: undefined }]));
  }

  /** Items of admitted calls that are in no run yet. */
  get waiting(): number {
    return [...this.#lanes.values()].reduce((sum, lane) => sum + waitingIn(lane).items, 0);
  }

  /**
   * Results in the order of the items. onResult: told of each as soon as it is known.
   * @throws OverloadedError, DeadlineExceededError, AppError `cancelled`, or what a run threw
   */
  async submit<Item, Result>(
    lane: LaneName,
    work: Work<Worker, Item, Result>,
    items: readonly Item[],
    scope: CallScope,
    onResult?: (index: number, result: Result) => void,
  ): Promise<Result[]> {
    const tokens = items.reduce((sum, item) => sum + work.tokensOf(item), 0);
    const call = this.enter(lane, work, { items: items.length, tokens }, scope, onResult);
    for (const [index, item] of items.entries()) call.add(index, item);
    return call.done;
  }

  /** How many items of a call, from the first, to enter it with (fittingCount). Where there is no time for atLeast either, `enter` refuses it. */
  fitting(lane: LaneName, tokens: readonly number[], atLeast: number, scope: CallScope): number {
    const { msPerToken } = this.#lane(lane);
    if (msPerToken === undefined) return tokens.length;
    const ahead = this.#ahead(lane, tokens.length, scope.caller);
    return fittingCount(tokens, { atLeast, aheadTokens: ahead.tokens, inTimeTokens: ((scope.deadlineMs - Date.now()) * this.#workers) / msPerToken });
  }

  /**
   * Admits a call whose items are yet to come. expected: how many they are, and what they are thought to cost together.
   * @throws OverloadedError, AppError `cancelled`
   */
  enter<Item, Result>(
    lane: LaneName,
    work: Work<Worker, Item, Result>,
    expected: Readonly<Cost>,
    scope: CallScope,
    onResult: (index: number, result: Result) => void = () => undefined,
  ): OpenCall<Item, Result> {
    if (scope.signal.aborted) throw cancelled();
    this.#assertRoom(lane, expected, scope);
    const into = this.#lane(lane);
    const call = new Call<Worker>({
      work: work,
      expected,
      scope,
      onResult: onResult as (index: number, result: unknown) => void,
      onDone: (times) => { this.observer.onDone?.(lane, times); },
    });
    if (expected.items > 0) queueOf(into, scope.caller).calls.push(call);
    return {
      add: (index, item) => {
        call.add(index, item);
        this.#dispatch();
      },
      fail: (error) => { call.reject(error); },
      done: call.done as Promise<Result[]>,
    };
  }

  #lane(name: LaneName): Lane<Worker> {
    const lane = this.#lanes.get(name);
    if (lane === undefined) throw new Error(`no lane ${name}`);
    return lane;
  }

  /** @throws OverloadedError */
  #assertRoom(name: LaneName, { items, tokens }: Cost, { caller, deadlineMs }: CallScope): void {
    const { capacity, msPerToken } = this.#lane(name);
    const ahead = this.#ahead(name, items, caller);
    if (ahead.items >= capacity) throw new OverloadedError("too much work is waiting; try again shortly");
    if (ahead.tokens === 0 || msPerToken === undefined) return;
    const doneMs = Date.now() + ((ahead.tokens + tokens) * msPerToken) / this.#workers;
    if (doneMs > deadlineMs) throw new OverloadedError("what is waiting would take longer than this call has; try again shortly");
  }

  /** What comes before a call of so many items, the call's own caller's included. */
  #ahead(name: LaneName, items: number, caller: string): Cost {
    const lane = this.#lane(name);
    const ahead = { items: 0, tokens: 0 };
    for (const one of this.#lanes.values()) {
      if (one === lane) break;
      const urgent = waitingIn(one);
      ahead.items += urgent.items;
      ahead.tokens += urgent.tokens;
    }
    const mine = lane.callers.find((one) => one.name === caller);
    const own = mine === undefined ? 0 : waitingOf(mine).items;
    // Of another caller no more comes first than that caller's share of the turns that this call takes.
    const turns = Math.ceil((own + items) / lane.turn) * lane.turn;
    for (const one of lane.callers) {
      const theirs = waitingOf(one);
      const part = one === mine ? 1 : Math.min(1, turns / Math.max(1, theirs.items));
      ahead.items += theirs.items * part;
      ahead.tokens += theirs.tokens * part;
    }
    return ahead;
  }

  #dispatch(): void {
    while (this.#idle.length > 0) {
      const run = this.#nextRun();
      const worker = run && this.#idle.pop();
      if (run === undefined || worker === undefined) return;
      void this.#run(run, worker);
    }
  }

  #nextRun(): Run<Worker> | undefined {
    for (const lane of this.#lanes.values()) {
      const run = gather(lane);
      if (run !== undefined) return run;
    }
    return undefined;
  }

  async #run({ lane, work, entries, longest }: Run<Worker>, worker: Worker): Promise<void> {
    const tokens = longest * entries.length;
    const startedAt = performance.now();
    this.observer.onRun?.(lane.name as LaneName, { items: entries.length, tokens });
    for (const { call } of entries) call.begin(startedAt);
    try {
      const results = await work.run(worker, entries.map(({ item }) => item));
      if (results.length !== entries.length) throw new Error(`a run of ${entries.length} items gave ${results.length} results`);
      const ms = (performance.now() - startedAt) / Math.max(1, entries.reduce((sum, { call }) => sum + call.tokensAnItem, 0));
      lane.msPerToken = lane.msPerToken === undefined ? ms : (1 - NEWEST) * lane.msPerToken + NEWEST * ms;
      for (const [i, { call, index }] of entries.entries()) call.finish(index, results[i]);
    } catch (error) {
      for (const { call } of entries) call.reject(error as Error);
    } finally {
      this.#idle.push(worker);
      this.#dispatch();
    }
  }
}

/**
 * How many items of a call, from the first, are done within SHARE of its time; but at least atLeast, and at most all. tokens: what each is
 * thought to cost; aheadTokens: what is done before them; inTimeTokens: what could be done in all the time that the call has.
 */
export function fittingCount(tokens: readonly number[], { atLeast, aheadTokens, inTimeTokens }: { atLeast: number; aheadTokens: number; inTimeTokens: number }): number {
  let left = SHARE * inTimeTokens - aheadTokens;
  const tooMany = tokens.findIndex((one) => (left -= one) < 0);
  return tooMany === -1 ? tokens.length : Math.min(tokens.length, Math.max(atLeast, tooMany));
}

interface CallSpec<Worker> {
  readonly work: Work<Worker, unknown, unknown>;
  readonly expected: Readonly<Cost>;
  readonly scope: CallScope;
  readonly onResult: (index: number, result: unknown) => void;
  readonly onDone: (times: { queuedMs: number; ranMs: number }) => void;
}

/** A call among those that wait. */
class Call<Worker> {
  readonly done: Promise<unknown[]>;
  /** Entries that may be run, the shortest first. */
  readonly #ready: Entry<Worker>[] = [];
  readonly #results: unknown[];
  #resolve!: (results: unknown[]) => void;
  #reject!: (error: Error) => void;
  #isOver = false;
  #begun = 0;
  #finished = 0;
  #addedAt: number | undefined;
  #begunAt: number | undefined;

  constructor(private readonly spec: CallSpec<Worker>) {
    const { expected, scope } = spec;
    this.#results = new Array<unknown>(expected.items);
    const leave = () => { this.reject(cancelled()); };
    this.done = new Promise<unknown[]>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    }).finally(() => { scope.signal.removeEventListener("abort", leave); });
    this.done.catch(() => undefined);
    scope.signal.addEventListener("abort", leave, { once: true });
    if (expected.items === 0) this.#end();
  }

  get work(): Work<Worker, unknown, unknown> {
    return this.spec.work;
  }

  /** Whether nothing of it is to be run any more. A call whose deadline has passed is over from now on. */
  isOver(): boolean {
    if (!this.#isOver && this.spec.scope.deadlineMs <= Date.now()) this.reject(new DeadlineExceededError());
    return this.#isOver || this.#begun === this.spec.expected.items;
  }

  /** What of it is in no run, also where it is yet to come. */
  get waiting(): Cost {
    if (this.#isOver) return { items: 0, tokens: 0 };
    const items = this.spec.expected.items - this.#begun;
    return { items, tokens: this.tokensAnItem * items };
  }

  /** As expected. */
  get tokensAnItem(): number {
    return this.spec.expected.tokens / this.spec.expected.items;
  }

  add(index: number, item: unknown): void {
    if (this.#isOver) return;
    this.#addedAt ??= performance.now();
    const tokens = this.work.tokensOf(item);
    let at = this.#ready.length;
    while (at > 0 && (this.#ready[at - 1]?.tokens ?? 0) > tokens) at--;
    this.#ready.splice(at, 0, { call: this, index, item, tokens });
  }

  peek(): Entry<Worker> | undefined {
    return this.#ready[0];
  }

  take(): Entry<Worker> | undefined {
    this.#begun++;
    return this.#ready.shift();
  }

  begin(now: number): void {
    this.#begunAt ??= now;
  }

  finish(index: number, result: unknown): void {
    if (this.#isOver) return;
    this.#results[index] = result;
    this.spec.onResult(index, result);
    if (++this.#finished === this.spec.expected.items) this.#end();
  }

  reject(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ready.length = 0;
    this.#reject(error);
  }

  #end(): void {
    const now = performance.now();
    const begunAt = this.#begunAt ?? now;
    this.#isOver = true;
    this.spec.onDone({ queuedMs: begunAt - (this.#addedAt ?? begunAt), ranMs: now - begunAt });
    this.#resolve(this.#results);
  }
}

/** What is run next in a lane: as much as fits together, in the order of turns, the next item always. Undefined where nothing is ready. */
function gather<Worker>(lane: Lane<Worker>): Run<Worker> | undefined {
  let run: Run<Worker> | undefined;
  for (const caller of [...lane.callers]) {
    for (let call = nextCall(caller); call !== undefined; call = nextCall(caller)) {
      const tokens = call.peek()?.tokens ?? 0;
      if (run !== undefined && !fits(run, call.work, tokens)) return run;
      run ??= { lane, work: call.work, entries: [], longest: 0 };
      const entry = call.take();
      if (entry !== undefined) run.entries.push(entry);
      run.longest = Math.max(run.longest, tokens);
      if (++caller.taken < lane.turn) continue;
      caller.taken = 0;
      lane.callers.splice(lane.callers.indexOf(caller), 1);
      lane.callers.push(caller);
      break;
    }
    if (caller.calls.every((call) => call.isOver())) lane.callers.splice(lane.callers.indexOf(caller), 1);
  }
  return run;
}

function fits<Worker>({ work, entries, longest }: Run<Worker>, other: Work<Worker, unknown, unknown>, tokens: number): boolean {
  return work === other && (entries.length + 1) * Math.max(longest, tokens) <= work.maxTokens;
}

/** The first call of a caller that has an item ready; what is over before it is taken away. */
function nextCall<Worker>({ calls }: Caller<Worker>): Call<Worker> | undefined {
  while (calls[0]?.isOver()) calls.shift();
  return calls.find((call) => !call.isOver() && call.peek() !== undefined);
}

function queueOf<Worker>({ callers }: Lane<Worker>, name: string): Caller<Worker> {
  let caller = callers.find((one) => one.name === name);
  if (caller === undefined) callers.push((caller = { name, calls: [], taken: 0 }));
  return caller;
}

function waitingOf<Worker>({ calls }: Caller<Worker>): Cost {
  return sumOf(calls.map(({ waiting }) => waiting));
}

function waitingIn<Worker>({ callers }: Lane<Worker>): Cost {
  return sumOf(callers.map(waitingOf));
}

function sumOf(parts: readonly Cost[]): Cost {
  return parts.reduce((sum, { items, tokens }) => ({ items: sum.items + items, tokens: sum.tokens + tokens }), { items: 0, tokens: 0 });
}

function cancelled(): AppError {
  return new AppError("cancelled", "cancelled");
}
