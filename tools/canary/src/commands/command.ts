/** One word after `npm run canary --`, in a file of its own. */
export interface Command {
  /** What may follow the word, a line a form. */
  readonly usage: readonly string[];
  /**
   * args: what follows the word. The exit code: 0 where all is well, 1 where something is wrong, which it printed.
   * @throws UsageError for arguments that it does not take
   */
  run(args: readonly string[]): number | Promise<number>;
}

/** Arguments that a command does not take: its usage is printed, and the exit code is 2. */
export class UsageError extends Error {
  constructor(message = "", options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
