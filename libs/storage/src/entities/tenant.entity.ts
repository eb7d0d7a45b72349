import { Column, Entity } from "typeorm";
import { BigintColumn, UserHashColumn } from "./columns.js";

/** One user. Never deleted, so that `seq` never starts again. */
@Entity({ name: "tenant", schema: "memseal" })
export class TenantEntity {
  @UserHashColumn() userHash!: Buffer;
  /** Raised by every write; a row carries the seq of the write that made it. */
  @BigintColumn("seq", { default: 0 }) seq!: string;
  /** Raised when everything cached about the tenant is void. */
  @Column({ type: "integer", default: 0 }) epoch!: number;
  @Column({ type: "text", default: "active" }) state!: "active" | "erasing" | "erased";
  /** The embedding generation that searches read. */
  @Column({ type: "integer", default: 1 }) generation!: number;
  /** Tombstones up to this seq are gone: an index behind it must be loaded anew. */
  @BigintColumn("tombstone_floor", { default: 0 }) tombstoneFloor!: string;
  @BigintColumn("memory_count", { default: 0 }) memoryCount!: string;
  @BigintColumn("byte_count", { default: 0 }) byteCount!: string;
  /** When the next memory expires. */
  @Column({ name: "next_due_at", type: "timestamptz", nullable: true }) nextDueAt!: Date | null;
}
