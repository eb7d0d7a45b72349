import { Column, Entity, PrimaryColumn } from "typeorm";
import { UserHashColumn } from "./columns.js";

/** What a memory was at an earlier row version: its blobs as they were sealed then. The newest 50 are kept. */
@Entity({ name: "memory_version", schema: "memseal" })
export class MemoryVersionEntity {
  @UserHashColumn() userHash!: Buffer;
  @PrimaryColumn({ name: "memory_id", type: "uuid" }) memoryId!: string;
  @PrimaryColumn({ name: "row_version", type: "integer" }) rowVersion!: number;
  /** What made this version. */
  @Column({ type: "text" }) event!: "create" | "update";
  @Column({ name: "text_cipher", type: "bytea" }) textCipher!: Buffer;
  @Column({ name: "meta_cipher", type: "bytea" }) metaCipher!: Buffer;
  @Column({ type: "timestamptz" }) at!: Date;
}
