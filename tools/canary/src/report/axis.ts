/** One direction of a plot. */
export interface Axis {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  readonly isLog?: true;
}

/** Where a value lies on an axis, in [0, 1]; at its end where it lies beyond. */
export function placeOn({ from, to, isLog }: Axis, value: number): number {
  const place = isLog === true ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
  return Math.min(1, Math.max(0, place));
}

const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400];

/** From 0. most: of ticks. */
export function timeAxis(durationS: number, most: number): Axis {
  const step = TIME_STEPS_S.find((each) => durationS / each <= most) ?? durationS / most;
  return {
    from: 0,
    // What happens at the end is not to lie on the edge.
    to: durationS * 1.02,
    ticks: Array.from({ length: Math.floor(durationS / step) + 1 }, (_, i) => ({ at: i * step, label: clock(i * step) })),
  };
}

/** Minutes and seconds. */
export function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** From 0 to at least `most`, in about four round steps. */
export function linearAxis(most: number, unit = ""): Axis {
  const step = roundAbove((most > 0 ? most : 1) / 4);
  const count = Math.max(1, Math.ceil(most / step - 1e-9));
  return { from: 0, to: count * step, ticks: Array.from({ length: count + 1 }, (_, i) => ({ at: i * step, label: `${Number((i * step).toPrecision(6))}${unit}` })) };
}

/** Logarithmic: what takes 20 ms and what takes 2 s are both to be seen. values: in milliseconds. */
export function latencyAxis(values: readonly number[]): Axis {
  const least = Math.max(1, values.reduce((a, b) => Math.min(a, b), Infinity));
  const from = Number.isFinite(least) ? 10 ** Math.floor(Math.log10(least)) : 1;
  const to = roundAbove(Math.max(10 * from, ...values.map((value) => 1.05 * value)));
  const isLong = to / from > 1_000;
  const ticks = [];
  for (let at = from; at <= to * 1.001; at = isLong ? at * 10 : roundAbove(at * 1.01)) ticks.push({ at, label: at < 1_000 ? `${at} ms` : `${at / 1_000} s` });
  return { from, to, ticks, isLog: true };
}

/** The smallest of 1, 2, 5, 10, 20, 50, ... (or a tenth, a hundredth, ... of one) that is no smaller. */
function roundAbove(value: number): number {
  const power = Math.floor(Math.log10(value));
  const found = [1, 2, 5].find((digit) => Number(`${digit}e${power}`) >= value * (1 - 1e-9));
  return found === undefined ? Number(`1e${power + 1}`) : Number(`${found}e${power}`);
}
