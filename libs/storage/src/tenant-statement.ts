const ALLOWED = /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|SAVEPOINT|RELEASE\s+SAVEPOINT|ROLLBACK\s+TO\s+SAVEPOINT)\s/i;

/**
 * What could hide or start another statement, or change a setting. Comments, quoted names, dollar quotes and escapes are
 * needed by no statement of ours, and without them a pattern is enough to know what a statement is.
 */
const FORBIDDEN = /;|--|\/\*|"|\\|U&|\$[A-Za-z_]*\$|set_config|\bapp\.user_hash\b|\bINTO\s+(TEMP|TEMPORARY|UNLOGGED|TABLE)\b/i;

/**
 * Lets pass one statement that reads or writes rows, or a savepoint: never one that begins or ends a transaction or
 * changes a setting or a role, since with it the transaction's tenant would be gone. Stricter than SQL.
 * @throws Error a mistake of the program
 */
export function assertTenantStatement(sql: string): void {
  if (!ALLOWED.test(sql)) throw new Error("inside a tenant's transaction only rows are read and written, and savepoints set");
  if (FORBIDDEN.test(sql)) throw new Error("a tenant's statement is one statement without comments, quoted names, escapes and settings");
}
