export { Breaker, BREAKER_STATES, SKIP_REASONS, type BreakerOptions, type CallerLimits, type Outcome, type SkipReason } from "./breaker.js";
export { parseTimeout, runUntil, TIMEOUT_KEY } from "./deadline.js";
export { TokenBuckets, type Allowance, type Rate } from "./limits.js";
export { SingleFlight } from "./single-flight.js";
export { Turns } from "./turns.js";
