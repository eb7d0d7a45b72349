import { Column, Entity, PrimaryColumn } from "typeorm";

/** One applied migration. A service built for schema S starts when min_service <= S <= the newest number. */
@Entity({ name: "schema_version", schema: "memseal" })
export class SchemaVersionEntity {
  @PrimaryColumn({ type: "integer" }) number!: number;
  /** The least schema a service must have been built for. */
  @Column({ name: "min_service", type: "integer" }) minService!: number;
  @Column({ name: "applied_at", type: "timestamptz", default: () => "now()" }) appliedAt!: Date;
}
