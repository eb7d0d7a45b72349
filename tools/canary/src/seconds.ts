/** Unix time in seconds of what toISOString wrote. */
export function secondsOf(time: string): number {
  return Date.parse(time) / 1000;
}
