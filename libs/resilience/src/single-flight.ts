/** So long after its start a piece of work is joined. Whoever comes later starts anew: it may hang, and another place may answer. */
const JOINED_MS = 1_000;

interface Flight<T> {
  readonly answer: Promise<T>;
  readonly startedMs: number;
  readonly ends: AbortController;
  waiting: number;
}

/** One piece of work of each name for all who ask for it at the same time. Nothing is remembered of it once it is done, or failed. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** now: milliseconds that only go forward. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /**
   * What the work answers that is under way under this name, or else of `work`, whose signal aborts when the last that waits for it has left.
   * @throws what the work throws, to all who wait; the caller's abort reason, to it alone
   */
  async run(name: string, caller: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    caller.throwIfAborted();
    const flight = this.#joinable(name) ?? this.#start(name, work);
    flight.waiting++;
    let leave = (): void => undefined;
    const left = new Promise<never>((_resolve, reject) => { leave = () => { reject(caller.reason as Error); }; });
    caller.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([flight.answer, left]);
    } finally {
      caller.removeEventListener("abort", leave);
      if (--flight.waiting === 0) this.#end(name, flight);
    }
  }

  #joinable(name: string): Flight<T> | undefined {
    const flight = this.#flights.get(name);
    return flight !== undefined && this.now() - flight.startedMs < JOINED_MS ? flight : undefined;
  }

  #start(name: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const ends = new AbortController();
    const flight: Flight<T> = { answer: work(ends.signal), startedMs: this.now(), ends, waiting: 0 };
    this.#flights.set(name, flight);
    return flight;
  }

  /** Of work that is done, the abort does nothing. */
  #end(name: string, flight: Flight<T>): void {
    if (this.#flights.get(name) === flight) this.#flights.delete(name);
    flight.ends.abort();
  }
}
