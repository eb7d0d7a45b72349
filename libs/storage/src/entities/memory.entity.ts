import { Column, Entity, Index, PrimaryColumn } from "typeorm";
import { BigintColumn, UserHashColumn } from "./columns.js";

/** What a caller added. Everything the caller gave is in the two sealed columns. */
@Entity({ name: "memory", schema: "memseal" })
@Index("memory_seq", ["userHash", "seq"])
@Index("memory_key_ref", ["userHash", "keyRef"], { unique: true, where: "key_ref IS NOT NULL" })
@Index("memory_content_ref", ["userHash", "contentRef"], { where: "content_ref IS NOT NULL" })
@Index("memory_run_ref_position", ["userHash", "runRef", "position"], { unique: true, where: "run_ref IS NOT NULL" })
@Index("memory_expires_at", ["userHash", "expiresAt"], { where: "expires_at IS NOT NULL" })
export class MemoryEntity {
  @UserHashColumn() userHash!: Buffer;
  /** UUID version 7. */
  @PrimaryColumn({ type: "uuid" }) id!: string;
  @BigintColumn("seq") seq!: string;
  @Column({ name: "row_version", type: "integer" }) rowVersion!: number;
  /** Blind references (HMACs under the tenant's reference key); NULL where the caller gave nothing to refer to. */
  @Column({ name: "key_ref", type: "bytea", nullable: true }) keyRef!: Buffer | null;
  @Column({ name: "content_ref", type: "bytea", nullable: true }) contentRef!: Buffer | null;
  @Column({ name: "run_ref", type: "bytea", nullable: true }) runRef!: Buffer | null;
  /** Place in its run. */
  @Column({ type: "integer", nullable: true }) position!: number | null;
  @Column({ name: "text_cipher", type: "bytea" }) textCipher!: Buffer;
  @Column({ name: "meta_cipher", type: "bytea" }) metaCipher!: Buffer;
  @Column({ name: "created_at", type: "timestamptz" }) createdAt!: Date;
  @Column({ name: "updated_at", type: "timestamptz" }) updatedAt!: Date;
  @Column({ name: "expires_at", type: "timestamptz", nullable: true }) expiresAt!: Date | null;
}
