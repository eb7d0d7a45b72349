import { createHmac } from "node:crypto";
import { KeyMaterial } from "./key-material.js";
import type { SecretBytes } from "./secret-bytes.js";

/** What a blind reference stands for. References of two kinds never meet, whatever they are made of. */
export const REFERENCE = { key: 1, content: 2, run: 3, idempotencyKey: 4, request: 5, actor: 6, target: 7, auditChain: 8 } as const;
export type Reference = keyof typeof REFERENCE;

/** A tenant's reference key: it makes equal values findable that nobody can read. Never rotated, since every reference would change. */
export class ReferenceKey extends KeyMaterial<(typeof REFERENCE)[Reference]> {
  /** key: 32 bytes, which the caller may zero afterwards. */
  constructor(key: SecretBytes) {
    super(key, "reference", Object.values(REFERENCE));
  }

  /**
   * 32 bytes, equal for equal kind and parts alone: HMAC-SHA256 over each part (text as UTF-8) with its u32 length
   * before it.
   * @throws AppError aborted once destroyed
   */
  reference(kind: Reference, ...parts: readonly (string | Uint8Array)[]): Buffer {
    const mac = createHmac("sha256", this.keyFor(REFERENCE[kind]));
    for (const part of parts) {
      const bytes = typeof part === "string" ? Buffer.from(part, "utf8") : part;
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.byteLength);
      mac.update(length).update(bytes);
    }
    return mac.digest();
  }
}
