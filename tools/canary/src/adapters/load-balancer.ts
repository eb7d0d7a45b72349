/** What a release is rolled out and back with. */
export interface LoadBalancer {
  /**
   * Gives the candidate so much of the traffic, in whole percent of the credentials, and of the load that names its track all or,
   * at 0, none. Resolves once the load balancer has said that it is so.
   * @throws LoadBalancerError when it does not
   */
  setCandidateShare(percent: number): Promise<void>;
  read(): Promise<Split>;
}

export interface Split {
  /** What the candidate is given of the traffic that names no track, in percent. */
  readonly candidatePercent: number;
  /** Answers that came from each track since the load balancer began, the load that names its track included. */
  readonly answers: Readonly<Record<"canary" | "stable", number>>;
  /** Of them those with a status of 5xx, and requests that no server took. */
  readonly failures: Readonly<Record<"canary" | "stable", number>>;
  /** As the load balancer wrote it. */
  readonly raw: string;
}

/** A load balancer that did not do what it was told. */
export class LoadBalancerError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
