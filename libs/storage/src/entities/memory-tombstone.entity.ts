import { Column, Entity, Index, PrimaryColumn } from "typeorm";
import { BigintColumn, UserHashColumn } from "./columns.js";

/** A deleted memory, kept for a while so that other processes drop it from their indexes. */
@Entity({ name: "memory_tombstone", schema: "memseal" })
@Index("memory_tombstone_seq", ["userHash", "seq"])
export class MemoryTombstoneEntity {
  @UserHashColumn() userHash!: Buffer;
  @PrimaryColumn({ type: "uuid" }) id!: string;
  @BigintColumn("seq") seq!: string;
  @Column({ name: "deleted_at", type: "timestamptz" }) deletedAt!: Date;
}
