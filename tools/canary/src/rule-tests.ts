import { allowedShare, seriesOf, type Guardrail, type NeverGuardrail, type Selector, type StatisticalGuardrail } from "@memseal/guardrails";
import { blindSpotTests } from "./blind-spot-tests.js";
import { PRODUCTION } from "./cadence.js";
import { guardrails, isCompared, isLimited, logEvidenceOf, neededToRollBack } from "./evidence.js";
import { rulesTest, type Case, type RulesTest } from "./rules-test.js";
import { alertName } from "./rules.js";
import { shownBy, type Service } from "./services.js";
import { exampleOf, jump, World, type Track } from "./world.js";

/** Unit tests for promtool, by the name of their file: a file for each guardrail, and one for what no limit shows. */
export function ruleTests(): Map<string, RulesTest> {
  return new Map([
    ...guardrails.map((guardrail): [string, RulesTest] => [guardrail.id, rulesTest([...breachCases(guardrail), ...absenceCases(guardrail)])]),
    ["blind_spots", rulesTest(blindSpotTests())],
  ]);
}

const quiet = World.quiet();
/** So many that the share alone decides. */
const PLENTY = 20_000_000;
/** A 5% candidate: one request to 19 of the stable release. */
const STABLE_TIMES = 19;
const FEW = 1_000;

function breachCases(guardrail: Guardrail): Case[] {
  if (guardrail.kind === "never") return eventCases(guardrail);
  return isLimited(guardrail) ? limitCases(guardrail) : comparisonCases(guardrail, allowedShare(guardrail));
}

function eventCases(guardrail: NeverGuardrail): Case[] {
  const alert = alertName(guardrail);
  const counted = (events: number) => guardrail.events.reduce((world, selector) =>
    world.with({ ...exampleOf(selector, { service: shownBy(selector.metric)[0], track: "canary" }), values: jump(events) }), quiet);
  return [
    { name: "the first event fires", world: counted(1), alert, fires: [{ guardrail: guardrail.id, track: "canary" }] },
    { name: "no event does not fire", world: counted(0), alert, fires: [] },
  ];
}

function limitCases(guardrail: StatisticalGuardrail): Case[] {
  const limit = allowedShare(guardrail);
  const stable = { trials: PLENTY * STABLE_TIMES, breaches: 0 };
  const world = (trials: number, breaches: number) => quiet.counting(guardrail, "stable", stable).counting(guardrail, "canary", { trials, breaches });
  const few = fewest((breaches) => logEvidenceOf(FEW, breaches, limit));
  return [
    fires(guardrail, "a share just above the limit fires", world(PLENTY, PLENTY * limit * 1.05)),
    silent(guardrail, "a share just below the limit does not fire, however many", world(PLENTY, PLENTY * limit * 0.95)),
    fires(guardrail, `${few} breaches of ${FEW} are evidence enough`, world(FEW, few)),
    silent(guardrail, `${few - 1} breaches of ${FEW} could be chance`, world(FEW, few - 1)),
    ...(isCompared(guardrail) ? [silent(guardrail, "a share over the limit is excused where stable's is no smaller", quiet
      .counting(guardrail, "stable", { trials: FEW * STABLE_TIMES, breaches: FEW * STABLE_TIMES * 0.3 })
      .counting(guardrail, "canary", { trials: FEW, breaches: FEW * 0.3 }))] : []),
  ];
}

/** shareOfStable: of breaches. */
function comparisonCases(guardrail: StatisticalGuardrail, shareOfStable: number): Case[] {
  const world = (trials: number, breaches: number) => quiet
    .counting(guardrail, "stable", { trials: trials * STABLE_TIMES, breaches: trials * STABLE_TIMES * shareOfStable })
    .counting(guardrail, "canary", { trials, breaches });
  const ofStable = FEW * STABLE_TIMES * shareOfStable;
  const few = fewest((breaches) => logEvidenceOf(ofStable + breaches, breaches, 1 / (1 + STABLE_TIMES)));
  return [
    fires(guardrail, "a share just above stable's fires", world(PLENTY, PLENTY * shareOfStable * 1.05)),
    silent(guardrail, "a share just below stable's does not fire, however many", world(PLENTY, PLENTY * shareOfStable * 0.95)),
    fires(guardrail, `${few} breaches of ${FEW} beside ${ofStable} of ${FEW * STABLE_TIMES} are evidence enough`, world(FEW, few)),
    silent(guardrail, `${few - 1} breaches of ${FEW} beside ${ofStable} of ${FEW * STABLE_TIMES} could be chance`, world(FEW, few - 1)),
    silent(guardrail, "a caller who spreads them over both tracks has no veto", world(FEW, FEW * shareOfStable)),
  ];
}

/** The fewest breaches that are evidence. */
function fewest(evidence: (breaches: number) => number): number {
  const needed = neededToRollBack(PRODUCTION);
  let breaches = 1;
  while (evidence(breaches) < needed) breaches++;
  return breaches;
}

function fires(guardrail: Guardrail, name: string, world: World): Case {
  return { name, world, alert: alertName(guardrail), fires: [{ guardrail: guardrail.id, track: "canary" }] };
}

function silent(guardrail: Guardrail, name: string, world: World): Case {
  return { name, world, alert: alertName(guardrail), fires: [] };
}

function absenceCases(guardrail: Guardrail): Case[] {
  const alert = `${alertName(guardrail)}Absent`;
  const tracks: readonly Track[] = isCompared(guardrail) ? ["canary", "stable"] : ["canary"];
  const gone = (selector: Selector, service: Service, track: Track): Case => ({
    name: `absent: ${selector.metric}${JSON.stringify(selector.labels ?? {})} of the ${track} ${service}`,
    world: quiet.without(selector, { service, track }),
    alert,
    fires: [exampleOf({ metric: "up" }, { service, track }).labels],
  });
  return [
    { name: "all is there", world: quiet, alert, fires: [] },
    ...seriesOf(guardrail).flatMap((selector) => shownBy(selector.metric).flatMap((service) => tracks.map((track) => gone(selector, service, track)))),
  ];
}
