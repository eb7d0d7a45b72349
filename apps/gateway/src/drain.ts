/** Whether this process is on its way out: it answers, says that it is not ready, and keeps no connection for another request. */
export class Drain {
  #isDraining = false;

  get isDraining(): boolean {
    return this.#isDraining;
  }

  begin(): void {
    this.#isDraining = true;
  }
}
