import { Column, Entity, PrimaryColumn } from "typeorm";
import { BigintColumn, UserHashColumn } from "./columns.js";

/** One version of a tenant's key, wrapped by the root key. */
@Entity({ name: "tenant_key", schema: "memseal" })
export class TenantKeyEntity {
  @UserHashColumn() userHash!: Buffer;
  @PrimaryColumn({ type: "text" }) purpose!: "seal" | "reference";
  @PrimaryColumn({ type: "integer" }) version!: number;
  /** The id in every blob sealed under it: the commitment's first 16 bytes. */
  @Column({ type: "bytea" }) kid!: Buffer;
  /** 32 bytes that only this key has; checked when it is unwrapped. */
  @Column({ type: "bytea" }) commitment!: Buffer;
  @Column({ type: "text" }) provider!: string;
  @Column({ name: "root_key_id", type: "text" }) rootKeyId!: string;
  @Column({ type: "bytea" }) wrapped!: Buffer;
  @Column({ type: "text" }) status!: "pending" | "active" | "decrypt_only" | "disabled" | "destroyed";
  @BigintColumn("seals_reserved", { default: 0 }) sealsReserved!: string;
}
