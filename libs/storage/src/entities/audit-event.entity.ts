import { Column, Entity, PrimaryColumn } from "typeorm";
import { UserHashColumn } from "./columns.js";

/** One event of a tenant's audit chain; only ever added. */
@Entity({ name: "audit_event", schema: "memseal" })
export class AuditEventEntity {
  @UserHashColumn() userHash!: Buffer;
  /** From 1, without a gap. */
  @PrimaryColumn({ type: "bigint" }) n!: string;
  @Column({ type: "timestamptz" }) at!: Date;
  /** Blind references of who acted and on what. */
  @Column({ name: "actor_ref", type: "bytea" }) actorRef!: Buffer;
  @Column({ type: "text" }) action!: string;
  @Column({ name: "target_ref", type: "bytea", nullable: true }) targetRef!: Buffer | null;
  @Column({ type: "text" }) outcome!: string;
  /** Over this event and the mac before it. */
  @Column({ type: "bytea" }) mac!: Buffer;
}
