import type { UserHash } from "@memseal/crypto";
import { AppError, DeadlineExceededError, OverloadedError } from "@memseal/errors";
import { CONNECTION_TIMEOUT_MS } from "./pool.js";

/** Calls of one tenant that may wait; more are refused at once. */
const MAX_WAITING = 256;

/** When nobody waits any more for what is done for a call. */
export interface CallEnd {
  /** Unix time in milliseconds. */
  readonly deadlineMs: number;
  /** Aborts when the caller leaves. */
  readonly signal?: AbortSignal | undefined;
}

export interface Claim {
  /** Absent: no caller waits for it. */
  readonly end?: CallEnd | undefined;
  /** Before the tenant's other calls, and however many of them wait: for what runs once a tenant at a time. */
  readonly goesFirst?: boolean | undefined;
}

/** How a wait ends: with a connection; without, since too many calls of the tenant wait already, or after too long; or with its call. */
export type WaitOutcome = "served" | "full" | "timeout" | "left";

/**
 * Who may take a connection of a pool. A tenant takes one more only while it holds fewer than are free: alone, it gets half of the
 * pool, and each further one that takes what it can gets half of the rest, so that something is left for one with none.
 * Tenants that wait are served in turn, and the calls of each in their order.
 * Source: Choudhury and Hahne, Dynamic queue length thresholds for shared-memory packet switches (1998), with alpha = 1.
 */
export class ConnectionShares {
  #free: number;
  readonly #held = new Map<UserHash, number>();
  /** Of tenants that may take none now. Whoever was served goes to the end. */
  readonly #queues = new Map<UserHash, (() => void)[]>();

  /** onWaited: told of each call that did not have its connection at once. */
  constructor(connections: number, private readonly onWaited: (outcome: WaitOutcome) => void = () => undefined) {
    this.#free = connections;
  }

  /**
   * Takes a connection, which is to be given back: at once where it returns undefined, else when the promise resolves.
   * @throws OverloadedError where too many calls of the tenant wait, or this one waited too long; DeadlineExceededError or
   * AppError cancelled where the call ended before
   */
  take(tenant: UserHash, claim: Claim = {}): Promise<void> | undefined {
    if (!this.#mayTake(tenant)) return this.#wait(tenant, claim);
    this.#hold(tenant);
    return undefined;
  }

  giveBack(tenant: UserHash): void {
    const held = this.#heldBy(tenant) - 1;
    if (held === 0) this.#held.delete(tenant);
    else this.#held.set(tenant, held);
    this.#free++;
    while (this.#serveNext());
  }

  #heldBy(tenant: UserHash): number {
    return this.#held.get(tenant) ?? 0;
  }

  #mayTake(tenant: UserHash): boolean {
    return this.#heldBy(tenant) < this.#free;
  }

  #hold(tenant: UserHash): void {
    this.#held.set(tenant, this.#heldBy(tenant) + 1);
    this.#free--;
  }

  #wait(tenant: UserHash, { end, goesFirst = false }: Claim): Promise<void> {
    const queue = this.#queues.get(tenant) ?? [];
    return new Promise((resolve, reject) => {
      const refuse = (outcome: WaitOutcome, error: AppError) => {
        this.onWaited(outcome);
        reject(error);
      };
      if (queue.length >= MAX_WAITING && !goesFirst) {
        refuse("full", ownCalls());
        return;
      }
      const serve = () => {
        stopWatching();
        this.onWaited("served");
        resolve();
      };
      if (goesFirst) queue.unshift(serve);
      else queue.push(serve);
      this.#queues.set(tenant, queue);
      const stopWatching = watch(end, (error) => {
        queue.splice(queue.indexOf(serve), 1);
        if (queue.length === 0) this.#queues.delete(tenant);
        if (error !== undefined) refuse("left", error);
        // What is free now is there for tenants that hold less.
        else refuse("timeout", this.#free > 0 ? ownCalls() : new OverloadedError("every database connection is busy; try again"));
      });
    });
  }

  /** False where no tenant that waits may take one. */
  #serveNext(): boolean {
    for (const [tenant, queue] of this.#queues) {
      if (!this.#mayTake(tenant)) continue;
      const serve = queue.shift();
      this.#queues.delete(tenant);
      if (queue.length > 0) this.#queues.set(tenant, queue);
      this.#hold(tenant);
      serve?.();
      return true;
    }
    return false;
  }
}

function ownCalls(): OverloadedError {
  return new OverloadedError("too many calls of this user are waiting for the database; try again");
}

/** Calls giveUp once: with an error where the call has ended, without one where it waited too long. Returns what prevents that. */
function watch({ deadlineMs, signal }: CallEnd = { deadlineMs: Infinity }, giveUp: (ended?: AppError) => void): () => void {
  const leftMs = deadlineMs - Date.now();
  const leave = () => {
    stop();
    giveUp(new AppError("cancelled", "the caller left before the answer was ready"));
  };
  const timer = setTimeout(() => {
    stop();
    giveUp(leftMs < CONNECTION_TIMEOUT_MS ? new DeadlineExceededError() : undefined);
  }, Math.min(leftMs, CONNECTION_TIMEOUT_MS));
  const stop = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", leave);
  };
  if (signal?.aborted === true) leave();
  else signal?.addEventListener("abort", leave, { once: true });
  return stop;
}
