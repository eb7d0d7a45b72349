import { AppError, DeadlineExceededError, OverloadedError } from "@memseal/errors";

/** One run on one worker. */
export type Task<Worker, Result> = (worker: Worker) => Promise<Result>;

/** How long somebody waits for a call. */
export interface CallScope {
  /** Aborts when the caller leaves. */
  signal: AbortSignal;
  /** Unix time in milliseconds; Infinity for no end. */
  deadlineMs: number;
}

interface Call<Worker> {
  /** The calls it waits among. */
  readonly lane: Call<Worker>[];
  readonly tasks: readonly Task<Worker, unknown>[];
  readonly results: unknown[];
  readonly deadlineMs: number;
  /** Index of the first task that no worker has taken. */
  next: number;
  /** Tasks without a result. */
  unfinished: number;
  resolve(): void;
  reject(error: Error): void;
}

interface LaneState<Worker> {
  readonly capacity: number;
  readonly calls: Call<Worker>[];
}

/**
 * Gives the tasks of calls to a fixed set of workers, one task a worker at a time: lanes in order of priority, calls
 * of a lane in order of arrival. A call is refused at once when its lane is full, and what is left of it is dropped
 * when its caller leaves, its deadline passes or one of its tasks fails.
 */
export class WorkQueue<Worker, Lane extends string> {
  readonly #idle: Worker[];
  readonly #lanes: ReadonlyMap<Lane, LaneState<Worker>>;

  /** capacities: lanes, most urgent first, each with the number of tasks that may wait ahead of a new call. */
  constructor(workers: readonly Worker[], capacities: Readonly<Record<Lane, number>>) {
    this.#idle = [...workers];
    this.#lanes = new Map(
      (Object.entries(capacities) as [Lane, number][]).map(([lane, capacity]) => [lane, { capacity, calls: [] }]),
    );
  }

  /**
   * Results in the order of the tasks.
   * @throws OverloadedError, DeadlineExceededError, AppError `cancelled`, or what a task threw
   */
  async submit<Result>(lane: Lane, tasks: readonly Task<Worker, Result>[], { signal, deadlineMs }: CallScope): Promise<Result[]> {
    if (signal.aborted) throw cancelled();
    if (tasks.length === 0) return [];
    const calls = this.#admit(lane);
    let leave: (() => void) | undefined;
    const results: Result[] = new Array<Result>(tasks.length);
    try {
      await new Promise<void>((resolve, reject) => {
        const call: Call<Worker> = {
          lane: calls, tasks, results, deadlineMs, next: 0, unfinished: tasks.length, resolve,
          reject: (error: Error) => {
            drop(call);
            reject(error);
          },
        };
        leave = () => { call.reject(cancelled()); };
        signal.addEventListener("abort", leave, { once: true });
        calls.push(call);
        this.#dispatch();
      });
    } finally {
      if (leave) signal.removeEventListener("abort", leave);
    }
    return results;
  }

  /** @throws OverloadedError */
  #admit(lane: Lane): Call<Worker>[] {
    let ahead = 0;
    for (const [name, { capacity, calls }] of this.#lanes) {
      for (const call of calls) ahead += call.tasks.length - call.next;
      if (name !== lane) continue;
      if (ahead >= capacity) throw new OverloadedError("too much work is waiting; try again shortly");
      return calls;
    }
    throw new Error(`no lane ${lane}`);
  }

  #dispatch(): void {
    while (this.#idle.length > 0) {
      const next = this.#nextCall();
      const worker = next && this.#idle.pop();
      if (!next || worker === undefined) return;
      void this.#run(next, worker);
    }
  }

  #nextCall(): Call<Worker> | undefined {
    for (const { calls } of this.#lanes.values()) {
      for (let call = calls.at(0); call; call = calls.at(0)) {
        if (call.deadlineMs > Date.now()) return call;
        call.reject(new DeadlineExceededError());
      }
    }
    return undefined;
  }

  async #run(call: Call<Worker>, worker: Worker): Promise<void> {
    const index = call.next++;
    if (call.next === call.tasks.length) drop(call);
    try {
      call.results[index] = await call.tasks[index](worker);
      if (--call.unfinished === 0) call.resolve();
    } catch (error) {
      call.reject(error as Error);
    } finally {
      this.#idle.push(worker);
      this.#dispatch();
    }
  }
}

function drop<Worker>(call: Call<Worker>): void {
  const index = call.lane.indexOf(call);
  if (index >= 0) call.lane.splice(index, 1);
}

function cancelled(): AppError {
  return new AppError("cancelled", "cancelled");
}
