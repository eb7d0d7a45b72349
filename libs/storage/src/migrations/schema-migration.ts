import type { MigrationInterface, QueryRunner } from "typeorm";

/** One step of the schema. Up and down each run in one transaction, as owner. */
export interface SchemaMigration extends MigrationInterface {
  /** From 1, without a gap. */
  readonly number: number;
  /** The least schema a service must have been built for to run on this one. */
  readonly minService: number;
  /** Tables of tenants' rows that `down` drops, with every row in them. */
  readonly drops: readonly string[];
}

/** Notes in `schema_version` that a migration is applied. */
export async function recordSchema(runner: QueryRunner, { number, minService }: SchemaMigration): Promise<void> {
  await runner.query("INSERT INTO memseal.schema_version (number, min_service) VALUES ($1, $2)", [number, minService]);
}
