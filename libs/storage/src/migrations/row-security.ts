import type { QueryRunner } from "typeorm";

/** Unset gives NULL, and after a transaction the setting is '' rather than unset: both must match no row. */
const IS_TENANT = "user_hash = decode(nullif(current_setting('app.user_hash', true), ''), 'hex')";

/** Puts tables of tenants' rows under forced row security: only the rows of the transaction's tenant exist. */
export async function isolateTenants(runner: QueryRunner, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    await runner.query(`ALTER TABLE memseal.${table} ENABLE ROW LEVEL SECURITY`);
    // FORCE: without it the owner of a table sees every row.
    await runner.query(`ALTER TABLE memseal.${table} FORCE ROW LEVEL SECURITY`);
    await runner.query(`CREATE POLICY tenant_isolation ON memseal.${table} USING (${IS_TENANT}) WITH CHECK (${IS_TENANT})`);
  }
}
