import { Column, Entity, PrimaryColumn } from "typeorm";
import { BigintColumn, UserHashColumn } from "./columns.js";

/** What the receipt of an erasure says; only ever added. */
@Entity({ name: "erasure", schema: "memseal" })
export class ErasureEntity {
  @UserHashColumn() userHash!: Buffer;
  @PrimaryColumn({ type: "uuid" }) id!: string;
  @Column({ name: "erased_at", type: "timestamptz" }) erasedAt!: Date;
  /** How many, and the bytes of their ciphertexts. */
  @BigintColumn("memories") memories!: string;
  @BigintColumn("bytes") bytes!: string;
  /** Each version of the root key that a backup's keys may be wrapped by. */
  @Column({ name: "root_key_ids", type: "text", array: true }) rootKeyIds!: string[];
}
