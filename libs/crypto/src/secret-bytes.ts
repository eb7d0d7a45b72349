import { inspect } from "node:util";

/** Secret bytes that cannot print themselves. */
export class SecretBytes {
  readonly #bytes: Buffer;
  #zeroed = false;

  private constructor(bytes: Uint8Array) {
    // Not Buffer.from(): small copies share one slab with whatever else the process handles.
    this.#bytes = Buffer.alloc(bytes.byteLength);
    this.#bytes.set(bytes);
  }

  /** Copies; the caller may zero its own. */
  static of(bytes: Uint8Array): SecretBytes {
    return new SecretBytes(bytes);
  }

  /** The bytes themselves, for a cryptographic call. Do not keep or copy them. @throws Error once zeroed */
  reveal(): Buffer {
    if (this.#zeroed) throw new Error("these secret bytes are zeroed");
    return this.#bytes;
  }

  get byteLength(): number {
    return this.#bytes.byteLength;
  }

  /** Best effort: the runtime may hold copies that nobody can reach. */
  zero(): void {
    this.#bytes.fill(0);
    this.#zeroed = true;
  }

  toJSON(): string {
    return "[secret]";
  }

  toString(): string {
    return "[secret]";
  }

  [inspect.custom](): string {
    return "[secret]";
  }
}
