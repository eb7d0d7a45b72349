import { Column, Entity, PrimaryColumn } from "typeorm";

/** What was done to an API key: the chain of the installation's owner, of no tenant; only ever added. */
@Entity({ name: "key_event", schema: "memseal" })
export class KeyEventEntity {
  /** From 1, without a gap. */
  @PrimaryColumn({ type: "bigint" }) n!: string;
  @Column({ type: "timestamptz" }) at!: Date;
  @Column({ type: "text" }) action!: string;
  @Column({ name: "key_id", type: "text" }) keyId!: string;
  /** Over this event and the mac before it. */
  @Column({ type: "bytea" }) mac!: Buffer;
}
