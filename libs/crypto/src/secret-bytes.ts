/** Secret bytes that cannot print themselves. */
export class SecretBytes {
  readonly #bytes: Buffer;

  private constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
  }

  /** Copies; the caller may zero its own. */
  static of(bytes: Uint8Array): SecretBytes {
    return new SecretBytes(bytes);
  }

  /** The bytes themselves, for a cryptographic call. Do not keep or copy them. */
  reveal(): Buffer {
    return this.#bytes;
  }

  get byteLength(): number {
    return this.#bytes.byteLength;
  }

  toJSON(): string {
    return "[secret]";
  }

  toString(): string {
    return "[secret]";
  }
}
