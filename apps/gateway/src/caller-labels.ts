import { randomBytes } from "node:crypto";
import type { UserHash } from "@memseal/crypto";
import { LRUCache } from "lru-cache";

/** How long a user keeps a label: longer than any call, too short to follow anybody. */
const LABEL_MS = 60_000;
const LABELS = 10_000;

/**
 * Under what a user's calls take turns before a model, which must not know whose they are: a random label, made by this process alone
 * and kept for a minute. Two calls with the same label are of one user; nothing else can be told from it.
 */
export class CallerLabels {
  readonly #labels: LRUCache<UserHash, string>;

  /** now: milliseconds that only go forward. */
  constructor(now: () => number = () => performance.now()) {
    this.#labels = new LRUCache({ max: LABELS, ttl: LABEL_MS, ttlResolution: 0, perf: { now } });
  }

  labelOf(tenant: UserHash): string {
    const known = this.#labels.get(tenant);
    if (known !== undefined) return known;
    const label = randomBytes(12).toString("base64url");
    this.#labels.set(tenant, label);
    return label;
  }
}
