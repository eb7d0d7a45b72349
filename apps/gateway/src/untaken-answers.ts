import { OverloadedError } from "@memseal/errors";

export interface UntakenBudget {
  /** Bytes that may wait for one receiver. An answer that waits alone may be larger. */
  receiverBytes: number;
  /** Bytes that may wait for all. */
  totalBytes: number;
}

/**
 * What answers that are made and not yet taken hold of the memory. Who lets them lie is refused, and the sooner the less is free: a receiver
 * may hold as much as is free at most, so that a few who fill the memory leave room for others.
 * Source: Choudhury and Hahne, Dynamic queue length thresholds for shared-memory packet switches, 1998, with alpha 1.
 */
export class UntakenAnswers {
  readonly #bytesOf = new Map<string, number>();
  #totalBytes = 0;

  constructor(private readonly budget: UntakenBudget) {}

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** @throws OverloadedError where `bytes` more would be too much of this receiver's answers, or of all */
  requireRoom(receiver: string, bytes: number): void {
    const held = this.#bytesOf.get(receiver) ?? 0;
    if (held > 0 && held + bytes > this.budget.receiverBytes) throw new OverloadedError("answers to this user wait to be read: read them or close their connections, then try again");
    if (held + bytes > this.budget.totalBytes - this.#totalBytes) throw new OverloadedError("too many answers wait to be read; try again");
  }

  /** Counts them until what it returns is called for the first time. */
  hold(receiver: string, bytes: number): () => void {
    this.#add(receiver, bytes);
    let isHeld = true;
    return () => {
      if (isHeld) this.#add(receiver, -bytes);
      isHeld = false;
    };
  }

  #add(receiver: string, bytes: number): void {
    this.#totalBytes += bytes;
    const held = (this.#bytesOf.get(receiver) ?? 0) + bytes;
    if (held === 0) this.#bytesOf.delete(receiver);
    else this.#bytesOf.set(receiver, held);
  }
}
