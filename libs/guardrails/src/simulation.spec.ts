import { PROMISED, SPEEDS, wilson } from "./simulation.fixture.js";

/** Enough to notice what is far off; `npm run soak:judge` runs the same 10,000 times. */
const RUNS = 100;

describe("the judge's errors, looked at as often as one likes, are as rare as promised", () => {
  it.each(PROMISED.map((one) => [one.what, one] as const))("%s", (_what, { count, atMost }) => {
    expect(wilson(count(RUNS), RUNS).low).toBeLessThanOrEqual(atMost);
  });
});

describe("half of the candidates get their verdict within a few requests", () => {
  it.each(SPEEDS.map((one) => [one.what, one] as const))("%s", (_what, { median, most }) => {
    expect(median(RUNS / 4)).toBeLessThanOrEqual(most);
  });
});
