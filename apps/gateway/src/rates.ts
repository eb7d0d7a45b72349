import { RateLimitedError } from "@memseal/errors";
import { TokenBuckets, type Allowance } from "@memseal/resilience";
import type { Credential } from "./call.js";

/** What is counted apart. */
export const RATE_CLASSES = ["read", "write", "rerank"] as const;
export type RateClass = (typeof RATE_CLASSES)[number];
/** What is counted of an address whose credentials are wrong. */
export const FAILED_AUTH = "failed-auth";
/** Requests a second. */
export type PerSecond = Readonly<Record<RateClass, number>>;

/** What a bucket holds when full, in seconds of its rate. */
export const BURST_S = 2;
/** Names that each kind of bucket remembers, about 10 MB all together. */
const REMEMBERED = 20_000;

export interface RatesSpec {
  credential: PerSecond;
  tenant: PerSecond;
  /** Failed authentications of one address. */
  failuresPerSecond: number;
}

/** Where a caller, or an address without one, stands, as the headers of an answer say it. */
export interface Quota extends Allowance {
  readonly kind: RateClass | typeof FAILED_AUTH;
}

/** How often a credential, its tenant and an address may ask this process. Nothing is shared between replicas. */
export class Rates {
  readonly #credentials: Readonly<Record<RateClass, TokenBuckets>>;
  readonly #tenants: Readonly<Record<RateClass, TokenBuckets>>;
  readonly #failures: TokenBuckets;

  constructor({ credential, tenant, failuresPerSecond }: RatesSpec, private readonly now: () => number = () => performance.now()) {
    this.#credentials = bucketsOf(credential);
    this.#tenants = bucketsOf(tenant);
    this.#failures = bucketsFor(failuresPerSecond);
  }

  /** Counts one request. A refusal counts nowhere. Returns the tighter of what is left. */
  take(kind: RateClass, { actor, tenant }: Credential): Quota {
    const now = this.now();
    const buckets: [TokenBuckets, string][] = [[this.#credentials[kind], `${actor} ${tenant ?? ""}`]];
    if (tenant !== undefined) buckets.push([this.#tenants[kind], tenant]);
    const before = tightest(buckets.map(([bucket, name]) => bucket.peek(name, now)));
    if (!before.isAllowed) return { ...before, kind };
    return { ...tightest(buckets.map(([bucket, name]) => bucket.take(name, now))), kind };
  }

  /** Whether an address may be looked up, which may have failed too often. */
  trust(address: string): Quota {
    return { ...this.#failures.peek(address, this.now()), kind: FAILED_AUTH };
  }

  /** Counts a failed authentication of an address. */
  fail(address: string): Quota {
    return { ...this.#failures.take(address, this.now()), kind: FAILED_AUTH };
  }
}

/** @throws RateLimitedError */
export function requireAllowed({ kind, isAllowed, retryAfterS }: Quota): void {
  if (!isAllowed) throw new RateLimitedError(kind === FAILED_AUTH ? "too many failed authentications" : `too many ${kind} requests`, retryAfterS);
}

/** Source: draft-ietf-httpapi-ratelimit-headers-10. */
export function rateLimitHeaders({ kind, limit, remaining, resetS }: Quota): Record<string, string> {
  return { "ratelimit-policy": `"${kind}";q=${limit};w=${BURST_S}`, ratelimit: `"${kind}";r=${remaining};t=${Math.ceil(resetS)}` };
}

function tightest([first, ...others]: readonly Allowance[]): Allowance {
  if (first === undefined) throw new RangeError("there is always a credential's bucket");
  return others.reduce((a, b) => (b.retryAfterS > a.retryAfterS || (b.retryAfterS === a.retryAfterS && b.remaining < a.remaining) ? b : a), first);
}

function bucketsOf(perSecond: PerSecond): Record<RateClass, TokenBuckets> {
  return { read: bucketsFor(perSecond.read), write: bucketsFor(perSecond.write), rerank: bucketsFor(perSecond.rerank) };
}

function bucketsFor(perSecond: number): TokenBuckets {
  return new TokenBuckets({ perSecond, burst: Math.max(1, Math.ceil(perSecond * BURST_S)) }, { max: REMEMBERED });
}
