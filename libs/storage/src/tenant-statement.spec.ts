import fc from "fast-check";
import { assertTenantStatement } from "./tenant-statement.js";

const FORBIDDEN = [
  "BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'",
  "SET app.user_hash = 'x'", "SET LOCAL app.user_hash = 'x'", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "RESET ALL", "DISCARD ALL",
  "SET ROLE memseal_owner", "SET SESSION AUTHORIZATION x", "RESET ROLE", "SELECT set_config('app.user_hash', 'x', true)",
  "SELECT pg_catalog.set_config('role', 'x', true)", "DO 'BEGIN COMMIT; END'", "CALL x()", "EXECUTE x", "PREPARE x AS SELECT 1", "LISTEN x",
  "CREATE TABLE x ()", "ALTER TABLE memseal.memory NO FORCE ROW LEVEL SECURITY", "DROP POLICY x ON y", "GRANT SELECT ON x TO y", "COPY x TO STDOUT", "LOCK TABLE x",
  "SELECT 1; COMMIT", "SELECT 1 -- ; COMMIT", "SELECT 1 /* */", "SELECT $$x$$", "SELECT $tag$x$tag$", "SELECT E'\\'; COMMIT'", 'SELECT "set_config"(1)',
  "SELECT U&\"\\0073et_config\"('x')", "ROLLBACK TO SAVEPOINT a; COMMIT", "SELECT current_setting('app.user_hash')", "SELECT 1 INTO TEMP x", "",
];

describe("a tenant's statement", () => {
  it.each(FORBIDDEN)("is never %s", (sql) => {
    expect(() => { assertTenantStatement(sql); }).toThrow(/tenant/);
  });

  it.each(["SELECT 1", "INSERT INTO x VALUES ($1)", "UPDATE x SET a = 1", "DELETE FROM x", "WITH a AS (SELECT 1) SELECT 2", "SAVEPOINT a", "RELEASE SAVEPOINT a", "ROLLBACK TO SAVEPOINT a"])("may be %s", (sql) => {
    assertTenantStatement(sql);
  });

  it("is not let through for its case, its white space, or what stands before or after", () => {
    const space = fc.string({ unit: fc.constantFrom(" ", "\t", "\n", "\r", "\f"), maxLength: 4 });
    const before = fc.constantFrom("", "SELECT 1; ", "SELECT 1;", "-- x\n", "/* x */ ", "/* /* x */ */", ";", "\u00a0", "\ufeff");
    const after = fc.constantFrom("", ";", "; SELECT 1", " -- x", "/* x */");
    const mixedCase = (text: string) => fc.infiniteStream(fc.boolean()).map((flips) => Array.from(text, (c) => ((flips.next().value as boolean) ? c.toUpperCase() : c.toLowerCase())).join(""));
    const statement = fc.constantFrom("begin", "commit", "rollback", "end", "set local app.user_hash = 'x'", "reset role", "set role x", "select set_config('a', 'b', true)").chain(mixedCase);
    fc.assert(fc.property(before, space, statement, space, after, (b, s1, sql, s2, a) => {
      expect(() => { assertTenantStatement(b + s1 + sql + s2 + a); }).toThrow();
    }), { numRuns: 2_000 });
  });
});
