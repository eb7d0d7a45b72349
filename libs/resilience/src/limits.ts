import { LRUCache } from "lru-cache";

/** How often something may be done, and how much of it at once after a pause. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Where a bucket stands after a request was put to it. */
export interface Allowance {
  readonly isAllowed: boolean;
  readonly limit: number;
  /** Whole requests that would be allowed now. */
  readonly remaining: number;
  /** Seconds until one more is allowed; 0 while one is. */
  readonly retryAfterS: number;
  /** Seconds until the bucket is full again. */
  readonly resetS: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * Token buckets by name, at most `max` of them: the least recently used is forgotten first, and starts full again.
 * Time is passed in, in milliseconds; one that goes back counts as standing still.
 * Source: the token bucket of RFC 2697, with requests for bytes.
 */
export class TokenBuckets {
  readonly #buckets: LRUCache<string, Bucket>;

  constructor(private readonly rate: Rate, { max }: { max: number }) {
    this.#buckets = new LRUCache({ max });
  }

  /** Takes one if there is one; a refusal takes nothing. */
  take(name: string, nowMs: number): Allowance {
    const bucket = this.#filled(name, nowMs);
    const isAllowed = bucket.tokens >= 1;
    if (isAllowed) bucket.tokens -= 1;
    this.#buckets.set(name, bucket);
    return this.#describe(bucket, isAllowed);
  }

  /** What `take` would answer, without taking. */
  peek(name: string, nowMs: number): Allowance {
    const bucket = this.#filled(name, nowMs);
    return this.#describe(bucket, bucket.tokens >= 1);
  }

  #filled(name: string, nowMs: number): Bucket {
    const { perSecond, burst } = this.rate;
    const known = this.#buckets.get(name);
    if (known === undefined) return { tokens: burst, atMs: nowMs };
    const elapsedS = Math.max(0, nowMs - known.atMs) / 1_000;
    return { tokens: Math.min(burst, known.tokens + elapsedS * perSecond), atMs: Math.max(nowMs, known.atMs) };
  }

  #describe({ tokens }: Bucket, isAllowed: boolean): Allowance {
    const { perSecond, burst } = this.rate;
    return {
      isAllowed,
      limit: burst,
      remaining: Math.floor(tokens),
      retryAfterS: tokens >= 1 ? 0 : (1 - tokens) / perSecond,
      resetS: (burst - tokens) / perSecond,
    };
  }
}
