import { TRACKS } from "../world.js";
import { burstRequests, steadyRequest, type LoadRequest } from "./load-plan.js";
import type { LoadRow } from "./load-row.js";
import { summarize, type LoadSummary } from "./load-summary.js";
import { LoadUser, type LoadTarget, type Outcome } from "./load-user.js";

/** A load that could not be put on. */
export class LoadError extends Error {
  override readonly name = "LoadError";
}

/** How many users are made ready at a time. */
const AT_A_TIME = 4;
const WARM_MS = 200;
const WARM_ROUNDS = 3;
/** Of a round over all users, so many are reranked: the models are warm then, too. */
const RERANKED_IN_ROUND = 4;
const REMEMBER_TRIES = 3;

/**
 * The load of a release, which its runner puts on: half of what names a track goes to each. Every request is a row, one that failed or
 * got no answer, too; none is sent twice.
 */
export class Load {
  readonly #users: readonly LoadUser[];
  readonly #rows: LoadRow[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  /** By credential. */
  readonly #excused = new Map<number, number>();
  readonly #compared = new Set<number>();
  #sent = 0;
  #isPrepared = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(target: LoadTarget, private readonly options: { readonly requestsPerS: number }) {
    if (target.keys.length === 0) throw new LoadError("there is no key to ask with");
    if (!(options.requestsPerS > 0)) throw new LoadError(`${options.requestsPerS} is no number of requests a second`);
    this.#users = target.keys.map((_, credential) => new LoadUser(target, credential));
  }

  /** In the order in which they ended. */
  get rows(): readonly LoadRow[] {
    return this.#rows;
  }

  /** Integrity failures of the candidate that stable met in the same search of the same user: of each user the most at once. */
  get excusedIntegrityFailures(): number {
    return [...this.#excused.values()].reduce((sum, failures) => sum + failures, 0);
  }

  summary(): LoadSummary {
    return summarize(this.#rows);
  }

  /**
   * Gives each user memories, through stable; then searches on both tracks until they are warm, or have had their chance: a candidate
   * that stays slow is for the judge. @throws LoadError for a user who cannot be given memories
   */
  async prepare(): Promise<void> {
    const credentials = [...this.#users.keys()];
    await inTurn(credentials, (credential) => this.#remember(credential));
    this.#isPrepared = true;
    // Processes that have just begun are slow at first: one user meets that, not several at once.
    for (let round = 0; round < WARM_ROUNDS && !(await this.#warm(credentials.slice(0, 1), round)); round++);
    for (let round = 0; round < WARM_ROUNDS && !(await this.#warm(credentials, round)); round++);
  }

  /** 100 queries of 5 users, half of them to each track. */
  async burst(): Promise<LoadRow[]> {
    const rows = await Promise.all(burstRequests(this.#users.length).map(async (requests) => {
      const answered: LoadRow[] = [];
      for (const request of requests) answered.push(await this.#ask(request));
      return answered;
    }));
    return rows.flat();
  }

  /** Steady from now on, however long answers take. @throws LoadError before `prepare` */
  start(): void {
    if (!this.#isPrepared) throw new LoadError("the users have no memories yet");
    if (this.#timer !== undefined) return;
    const began = performance.now();
    let started = 0;
    const { requestsPerS } = this.options;
    this.#timer = setInterval(() => {
      for (const due = ((performance.now() - began) / 1_000) * requestsPerS; started < due; started++) void this.#ask(steadyRequest(started, this.#users.length));
    }, Math.min(50, 1_000 / requestsPerS));
  }

  /** Resolves when what is under way has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #remember(credential: number): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { error } = await this.#row({ asked: "stable", credential, kind: "add" }, (user) => user.remember("stable"));
      if (error === null) return;
      if (tries === REMEMBER_TRIES) throw new LoadError(`the user of key ${credential + 1} cannot be given memories: ${error}`);
    }
  }

  /** Whether all were quick. */
  async #warm(credentials: readonly number[], round: number): Promise<boolean> {
    const rows = await inTurn(credentials, async (credential) => {
      const rerank = credential % Math.ceil(credentials.length / RERANKED_IN_ROUND) === 0;
      const answered: LoadRow[] = [];
      for (const asked of TRACKS) answered.push(await this.#ask({ asked, credential, kind: rerank ? "search_reranked" : "search", rerank, text: credential + round }));
      return answered;
    });
    return rows.flat().every(({ error, ms }) => error === null && ms <= WARM_MS);
  }

  #ask(request: LoadRequest): Promise<LoadRow> {
    return this.#untilStopped(async () => {
      const row = await this.#row(request, (user, n) => user.ask(request, n));
      if (row.track === "canary" && row.integrity_failures > 0) void this.#untilStopped(() => this.#compare(request, row));
      return row;
    });
  }

  /** Asks stable the same, unless it is being asked. */
  async #compare({ credential, text }: LoadRequest, { integrity_failures: failures }: LoadRow): Promise<void> {
    if (this.#compared.has(credential)) return;
    this.#compared.add(credential);
    const row = await this.#ask({ asked: "stable", credential, kind: "search", rerank: false, text });
    if (row.track === "stable") this.#excused.set(credential, Math.max(this.#excused.get(credential) ?? 0, Math.min(failures, row.integrity_failures)));
    this.#compared.delete(credential);
  }

  async #row({ asked, credential, kind }: Pick<LoadRow, "asked" | "credential" | "kind">, work: (user: LoadUser, n: number) => Promise<Outcome>): Promise<LoadRow> {
    const n = ++this.#sent;
    const at = new Date().toISOString();
    const { track, status, ms, reranked, integrity_failures, error } = await work(this.#users[credential], n);
    const row: LoadRow = { n, at, credential, asked, track, kind, status, ms, reranked, integrity_failures, error };
    this.#rows.push(row);
    return row;
  }

  async #untilStopped<T>(work: () => Promise<T>): Promise<T> {
    const working = work();
    this.#underWay.add(working);
    try {
      return await working;
    } finally {
      this.#underWay.delete(working);
    }
  }
}

/** Some at a time, in no order. */
async function inTurn<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const waiting = [...all];
  const results: R[] = [];
  await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) results.push(await work(one));
  }));
  return results;
}
