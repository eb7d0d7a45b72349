import { InvalidArgumentError } from "@memseal/errors";
import { Counters, type Snapshot } from "./counters.js";
import { EProcess, logSum, type Tally } from "./e-process.js";
import { allowedShare, GUARDRAILS, type Guardrail, type NeverGuardrail, type StatisticalGuardrail } from "./guardrails.js";

/** Why a candidate has to go. */
export type Cause =
  /** Evidence that the limit is not kept. logEvidence and needed are natural logarithms. */
  | { readonly guardrail: string; readonly kind: "evidence"; readonly candidate: Tally; readonly logEvidence: number; readonly needed: number }
  /** What must never happen has happened. */
  | { readonly guardrail: string; readonly kind: "event"; readonly events: number }
  /** A series that the guardrail needs is absent, or has not been scraped for too long. */
  | { readonly guardrail: string; readonly kind: "silent"; readonly silentS: number };

/** What is lacking to promote: of each guardrail the fewest further trials of the candidate (requests, streams, checkouts), none of them a breach. */
export interface Missing {
  readonly guardrail: string;
  /** 0 where only a first sample is waited for. */
  readonly requests: number;
}

export type Verdict =
  | { readonly verdict: "rollback"; readonly causes: readonly Cause[] }
  | { readonly verdict: "promote" }
  | { readonly verdict: "inconclusive"; readonly missing: readonly Missing[] };

/** Trials and breaches of a guardrail on each track; of what must never happen, events as breaches. */
export interface Counted {
  readonly guardrail: string;
  readonly canary: Tally;
  readonly stable: Tally;
}

/** What there is on one guardrail that is judged by evidence. against and needed are natural logarithms; missing as in Missing. */
export interface Evidence {
  readonly guardrail: string;
  readonly against: number;
  readonly needed: number;
  readonly missing: number;
}

export interface JudgeOptions {
  /** What is watched; all there is by default. A release of one service alone is judged by what that service shows. */
  guardrails?: readonly Guardrail[];
  /** Unix time in seconds from which the candidate's series are waited for. */
  startedAtS: number;
  /** A series that was not scraped for longer is a breach: four scrapes of 15 s. */
  staleAfterS?: number;
  /** The most that the probability may be, over a whole release and all guardrails, of rolling back one that keeps every limit. */
  falseRollback?: number;
  /** The most that the probability may be, over a whole release, of promoting a candidate with a guardrail at twice its limit. */
  falsePromotion?: number;
}

export interface Observation extends Snapshot {
  /**
   * Events so far of guardrails with `unlessStableFails` that the stable release met at the same row, too. Whoever gathers
   * the counters asks the stable release before it shows them to the judge: a rollback is not taken back.
   */
  readonly excused?: Readonly<Record<string, number>>;
  /** While tenants are loaded for the first time: latencies are those of warm tenants, so what is observed now is none of them. */
  readonly isWarming?: boolean;
}

/**
 * Judges a candidate by counters alone: no clock, no network, the same counters give the same verdict.
 *
 * **Rollback** at the first look at which
 * - an event has happened that must never, or
 * - a series that is needed is absent or stale, or
 * - the evidence of one guardrail that its limit is not kept (EProcess "worse") reaches m/a, where a is `falseRollback` and
 *   m the number of guardrails judged by evidence. Each may err with a/m at whatever look, so together with a (Bonferroni).
 *   The first two are no matter of chance and have no part of the budget.
 * It stays, whatever comes.
 *
 * **Promote** when every guardrail has been seen and shows evidence of at least 1/b, with b `falsePromotion`, that its share
 * of breaches in this release is below twice the limit (EProcess "better"). All must show it, so none needs a part of b: where one is at
 * twice its limit, its own test alone must be passed (Berger, Multiparameter hypothesis testing and acceptance sampling, 1982).
 *
 * **Inconclusive** otherwise, with what is missing. Time alone ends no step.
 *
 * Comparing: of all breaches in a window, those of both releases, a share of w = n_candidate / (n_candidate + n_stable) falls on a
 * candidate that is no worse. Given the counts of a window the candidate's part is hypergeometric, and a convex function's mean is then at
 * most the binomial's (Hoeffding, Probability inequalities for sums of bounded random variables, 1963, section 6), so the
 * same e-process holds with w as the null's share, window by window, whatever the rates do from one window to the next.
 * "At twice stable's rate" is a share of 2w/(1 + w). `orAsStable` rolls back on both evidences (the smaller counts) and promotes
 * on either (their mean counts, which is an e-process where both nulls hold).
 */
export class Judge {
  readonly #counters: Counters;
  readonly #rows: readonly Row[];
  readonly #nevers: readonly NeverGuardrail[];
  readonly #staleAfterS: number;
  readonly #neededToRollBack: number;
  readonly #neededToPromote: number;
  #verdict: Verdict;
  #hasLooked = false;

  constructor({ guardrails = GUARDRAILS, startedAtS, staleAfterS = 60, falseRollback = 0.01, falsePromotion = 0.05 }: JudgeOptions) {
    const statistical = guardrails.filter((one): one is StatisticalGuardrail => one.kind !== "never");
    this.#counters = new Counters(guardrails, startedAtS);
    this.#rows = statistical.map((guardrail) => new Row(guardrail, this.#counters));
    this.#nevers = guardrails.filter((one) => one.kind === "never");
    this.#staleAfterS = staleAfterS;
    this.#neededToRollBack = Math.log(statistical.length / falseRollback);
    this.#neededToPromote = -Math.log(falsePromotion);
    this.#verdict = { verdict: "inconclusive", missing: this.#missing() };
  }

  /** @throws InvalidArgumentError when the observation is older than the last, or excuses what has no excuse */
  observe(observation: Observation): Verdict {
    this.#assertExcusable(observation.excused ?? {});
    this.#counters.read(observation);
    for (const row of this.#rows) row.observe({ isFirst: !this.#hasLooked, isWarming: observation.isWarming === true });
    this.#hasLooked = true;
    if (this.#verdict.verdict !== "rollback") this.#verdict = this.#decide(observation.excused ?? {});
    return this.#verdict;
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** What was counted of each guardrail so far: of the candidate since its processes began, of the stable release since the first look. */
  get counted(): Counted[] {
    const ids = [...this.#rows, ...this.#nevers].map(({ id }) => id);
    return ids.map((guardrail) => ({ guardrail, canary: this.#counters.tally(guardrail, "canary"), stable: this.#counters.tally(guardrail, "stable") }));
  }

  get evidence(): Evidence[] {
    return this.#rows.map((row) => ({ guardrail: row.id, against: row.logEvidenceAgainst, needed: this.#neededToRollBack, missing: row.trialsUntilProven(this.#neededToPromote) }));
  }

  #decide(excused: Readonly<Record<string, number>>): Verdict {
    const causes = [...this.#events(excused), ...this.#silent(), ...this.#evidence()];
    if (causes.length > 0) return { verdict: "rollback", causes };
    const missing = this.#missing();
    return missing.length > 0 ? { verdict: "inconclusive", missing } : { verdict: "promote" };
  }

  #events(excused: Readonly<Record<string, number>>): Cause[] {
    return this.#nevers.flatMap(({ id }) => {
      const events = this.#counters.tally(id, "canary").breaches - (excused[id] ?? 0);
      return events > 0 ? [{ guardrail: id, kind: "event", events }] : [];
    });
  }

  #silent(): Cause[] {
    return [...this.#nevers, ...this.#rows].flatMap((one) => {
      const silentS = Math.max(...tracksOf(one).map((track) => this.#counters.silentS(one.id, track)));
      return silentS > this.#staleAfterS ? [{ guardrail: one.id, kind: "silent", silentS }] : [];
    });
  }

  #evidence(): Cause[] {
    return this.#rows.flatMap(({ id, logEvidenceAgainst: logEvidence }) =>
      logEvidence >= this.#neededToRollBack
        ? [{ guardrail: id, kind: "evidence", candidate: this.#counters.tally(id, "canary"), logEvidence, needed: this.#neededToRollBack }]
        : []);
  }

  #missing(): Missing[] {
    return [
      ...this.#nevers.map(({ id }) => ({ guardrail: id, requests: 0, isLacking: !this.#counters.isPresent(id, "canary") })),
      ...this.#rows.map((row) => {
        const requests = row.trialsUntilProven(this.#neededToPromote);
        return { guardrail: row.id, requests, isLacking: requests > 0 || tracksOf(row).some((track) => !this.#counters.isPresent(row.id, track)) };
      }),
    ].flatMap(({ isLacking, ...missing }) => (isLacking ? [missing] : []));
  }

  #assertExcusable(excused: Readonly<Record<string, number>>): void {
    for (const [id, events] of Object.entries(excused)) {
      if (this.#nevers.find((one) => one.id === id)?.unlessStableFails !== true) throw new InvalidArgumentError(`excused.${id}`, "has no excuse");
      if (!Number.isSafeInteger(events) || events < 0) throw new InvalidArgumentError(`excused.${id}`, "must be a count");
    }
  }
}

/** Whose series a guardrail needs. */
function tracksOf(one: Row | NeverGuardrail): readonly ("canary" | "stable")[] {
  return one instanceof Row && one.isCompared ? ["canary", "stable"] : ["canary"];
}

/** The evidence of one guardrail. */
class Row {
  readonly id: string;
  readonly isCompared: boolean;
  /** False where only the comparison can roll back. */
  readonly #isLimited: boolean;
  /** Twice the share the guardrail allows. */
  readonly #tooMany: number;
  readonly #against = { limit: new EProcess("worse"), stable: new EProcess("worse") };
  readonly #for = { limit: new EProcess("better"), stable: new EProcess("better") };
  #judged: Tally = { trials: 0, breaches: 0 };
  #compared = { canary: this.#judged, stable: this.#judged };

  constructor(private readonly guardrail: StatisticalGuardrail, private readonly counters: Counters) {
    this.id = guardrail.id;
    this.#isLimited = guardrail.kind !== "compared";
    this.isCompared = guardrail.kind === "compared" || (guardrail.kind === "rate" && guardrail.orAsStable === true);
    this.#tooMany = 2 * allowedShare(guardrail);
  }

  observe({ isFirst, isWarming }: { isFirst: boolean; isWarming: boolean }): void {
    if (isWarming && this.guardrail.kind === "quantile" && this.guardrail.unit === "seconds") this.#judged = this.counters.tally(this.id, "canary");
    else this.#observeAlone();
    if (this.isCompared) this.#observeBeside(isFirst);
  }

  get logEvidenceAgainst(): number {
    const { limit, stable } = this.#against;
    if (!this.isCompared) return limit.logEvidence;
    return this.#isLimited ? Math.min(limit.logEvidence, stable.logEvidence) : stable.logEvidence;
  }

  /** 0 once the evidence for the candidate reaches `logNeeded`. */
  trialsUntilProven(logNeeded: number): number {
    const { limit, stable } = this.#for;
    if (!this.isCompared) return limit.trialsUntil(logNeeded, this.#tooMany);
    if (logSum([limit.logEvidence, stable.logEvidence]) - Math.LN2 >= logNeeded) return 0;
    // What the comparison lacks to the mean has to come from the limit.
    const lacking = 2 * Math.exp(logNeeded) - Math.exp(stable.logEvidence);
    return limit.trialsUntil(Math.log(lacking), this.#tooMany);
  }

  #observeAlone(): void {
    const now = this.counters.tally(this.id, "canary");
    const window = difference(now, this.#judged);
    if (!isWhole(window)) return;
    this.#judged = now;
    this.#against.limit.observe(window, allowedShare(this.guardrail));
    this.#for.limit.observe(window, this.#tooMany);
  }

  #observeBeside(isFirst: boolean): void {
    const now = { canary: this.counters.tally(this.id, "canary"), stable: this.counters.tally(this.id, "stable") };
    // The candidate's own past has nothing of the stable release beside it.
    if (isFirst) this.#compared = now;
    const canary = difference(now.canary, this.#compared.canary);
    const stable = difference(now.stable, this.#compared.stable);
    // Without requests on both sides there is no share to expect: the window stays open.
    if (canary.trials <= 0 || stable.trials <= 0) return;
    this.#compared = now;
    const share = canary.trials / (canary.trials + stable.trials);
    const breaches = { trials: canary.breaches + stable.breaches, breaches: canary.breaches };
    this.#against.stable.observe(breaches, share);
    this.#for.stable.observe(breaches, (2 * share) / (1 + share));
  }
}

function difference(now: Tally, before: Tally): Tally {
  return { trials: now.trials - before.trials, breaches: now.breaches - before.breaches };
}

/** Not whole: samples of one process from two scrapes, of which the later will complete it. */
function isWhole({ trials, breaches }: Tally): boolean {
  return trials > 0 && breaches >= 0 && breaches <= trials;
}
