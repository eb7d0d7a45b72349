import { setTimeout as delay } from "node:timers/promises";
import type { LoadBalancer, Split } from "../adapters/load-balancer.js";

const LOOK_EVERY_MS = 50;

/** Sees, beside whoever runs a release, what its load balancer gives the candidate. */
export class SwitchWatch {
  readonly #changes: { readonly atMs: number; readonly percent: number }[] = [];
  #last: Split | undefined;
  #isStopped = false;
  readonly #watching: Promise<void>;

  constructor(private readonly loadBalancer: LoadBalancer) {
    this.#watching = this.#watch();
  }

  /** What was last read. */
  get last(): Split | undefined {
    return this.#last;
  }

  /** Resolves with true when the candidate has answered so many requests, with false when the watch is stopped first. */
  async hasAnswered(requests: number): Promise<boolean> {
    while (!this.#isStopped) {
      if (this.#last !== undefined && this.#last.answers.canary >= requests) return true;
      await delay(LOOK_EVERY_MS);
    }
    return false;
  }

  /** When the candidate was given nothing after this time, in milliseconds; undefined: it was not. */
  takenAwayAfter(sinceMs: number): number | undefined {
    return this.#changes.find(({ atMs, percent }) => percent === 0 && atMs >= sinceMs)?.atMs;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#watching;
  }

  async #watch(): Promise<void> {
    while (!this.#isStopped) {
      await delay(LOOK_EVERY_MS);
      // In the middle of a switch the backends do not agree; the next look sees what came of it.
      const split = await this.loadBalancer.read().catch(() => undefined);
      if (split === undefined) continue;
      this.#last = split;
      if (this.#changes.at(-1)?.percent !== split.candidatePercent) this.#changes.push({ atMs: Date.now(), percent: split.candidatePercent });
    }
  }
}
