import { Column, Entity, Index, PrimaryColumn } from "typeorm";
import { UserHashColumn } from "./columns.js";

/** A write that succeeded under a caller's idempotency key, and its answer; committed with the write. */
@Entity({ name: "idempotency", schema: "memseal" })
@Index("idempotency_expires_at", ["userHash", "expiresAt"])
export class IdempotencyEntity {
  @UserHashColumn() userHash!: Buffer;
  /** Blind reference of method and key. */
  @PrimaryColumn({ name: "key_ref", type: "bytea" }) keyRef!: Buffer;
  /** Blind reference of the parsed request: another one under the same key is refused. */
  @Column({ name: "request_ref", type: "bytea" }) requestRef!: Buffer;
  @Column({ name: "sealed_response", type: "bytea" }) sealedResponse!: Buffer;
  @Column({ name: "expires_at", type: "timestamptz" }) expiresAt!: Date;
}
