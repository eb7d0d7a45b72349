import type { KeyObject } from "node:crypto";
import { blobHeader, FIELD, type Field } from "./envelope.js";
import { KeyMaterial } from "./key-material.js";
import type { SecretBytes } from "./secret-bytes.js";

/** One version of a tenant's seal key. */
export class TenantKey extends KeyMaterial<Field> {
  /** The first 20 bytes of every blob it seals. */
  readonly header: Buffer;

  /** key: 32 bytes, which the caller may zero afterwards. */
  constructor(key: SecretBytes) {
    super(key, "seal", Object.values(FIELD));
    this.header = blobHeader(this.kid);
  }

  /** What a blob of this field is encrypted with. @throws AppError aborted once destroyed */
  fieldKey(field: Field): KeyObject {
    return this.keyFor(field);
  }
}
