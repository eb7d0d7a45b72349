/** Evidence that cannot be made, or not be trusted. The message names what is wrong with it. */
export class EvidenceError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
