/** A wait that somebody else can end. */
export class Wake {
  #end: (() => void) | undefined;
  #isDue = false;

  /** Ends the wait that is under way, or the next one. */
  now(): void {
    this.#isDue = true;
    this.#end?.();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#isDue) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#end = () => { clearTimeout(timer); resolve(); };
      });
    }
    this.#end = undefined;
    this.#isDue = false;
  }
}
