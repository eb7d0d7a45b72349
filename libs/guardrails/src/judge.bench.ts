import { PROMISED, SPEEDS, wilson } from "./simulation.fixture.js";

const RUNS = Number(process.env.MEMSEAL_SOAK_RUNS ?? 10_000);
const SPEED_RUNS = Math.min(RUNS, 500);

export const title = "Judge of releases: how often it is wrong, and how many requests it needs";
export const settings = [
  `${RUNS} runs a probability, its 95% interval (Wilson) as spread; ${SPEED_RUNS} runs a median`,
  "all guardrails of the table at once, each with requests of its own, at most 10,000 of the candidate, which gets 5%; 81 looks a run",
  "requests: of each kind that a guardrail watches, until half of the candidates have their verdict",
];

export function run() {
  return [
    ...PROMISED.map(({ what, atMost, count }) => {
      const events = count(RUNS);
      const { low, high } = wilson(events, RUNS);
      return { what, values: [low, events / RUNS, high].map((rate) => 100 * rate), unit: "%", commit: 100 * atMost, lowerIsBetter: true };
    }),
    ...SPEEDS.map(({ what, most, median }) => ({ what, values: [median(SPEED_RUNS)], unit: "requests", commit: most, lowerIsBetter: true })),
  ];
}
