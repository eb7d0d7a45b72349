import { Column, Entity, Index, PrimaryColumn } from "typeorm";
import { BigintColumn, UserHashColumn } from "./columns.js";

/** A searched span of a memory in one embedding generation. */
@Entity({ name: "chunk", schema: "memseal" })
@Index("chunk_seq", ["userHash", "generation", "seq"])
export class ChunkEntity {
  @UserHashColumn() userHash!: Buffer;
  @PrimaryColumn({ type: "integer" }) generation!: number;
  @PrimaryColumn({ name: "memory_id", type: "uuid" }) memoryId!: string;
  @PrimaryColumn({ name: "chunk_no", type: "integer" }) chunkNo!: number;
  @BigintColumn("seq") seq!: string;
  @Column({ name: "row_version", type: "integer" }) rowVersion!: number;
  /** Sealed: u32 start, u32 end, float32 vector. */
  @Column({ name: "emb_cipher", type: "bytea" }) embCipher!: Buffer;
}
