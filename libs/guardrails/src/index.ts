export type { Sample, Snapshot, Track } from "./counters.js";
export type { Tally } from "./e-process.js";
export {
  allowedShare,
  GUARDRAILS,
  partsOf,
  seriesOf,
  type ComparedGuardrail,
  type Guardrail,
  type GuardrailId,
  type NeverGuardrail,
  type Part,
  type QuantileGuardrail,
  type RateGuardrail,
  type Selector,
  type StatisticalGuardrail,
} from "./guardrails.js";
export { Judge, type Cause, type Counted, type Evidence, type JudgeOptions, type Missing, type Observation, type Verdict } from "./judge.js";
