import { assertSafeRole, assertSchema } from "./start-checks.js";
import { testServers, withClient, type TestDatabase } from "./testing.js";

/** Each fault as the superuser makes it and takes it back, and what the refusal says. */
const FAULTS: readonly { name: string; fault: string; remedy: string; says: RegExp; as?: "auth" }[] = [
  { name: "a role that bypasses row security", fault: "ALTER ROLE memseal_app BYPASSRLS", remedy: "ALTER ROLE memseal_app NOBYPASSRLS", says: /memseal_app is superuser or bypasses row security/ },
  { name: "a member of the tables' owner", fault: "GRANT memseal_owner TO memseal_app", remedy: "REVOKE memseal_owner FROM memseal_app", says: /owns table .*, or is a member of its owner/ },
  { name: "a member of another role", fault: "GRANT memseal_scheduler TO memseal_app", remedy: "REVOKE memseal_scheduler FROM memseal_app", says: /REVOKE memseal_scheduler FROM memseal_app/ },
  { name: "a table whose row security is off", fault: "ALTER TABLE memseal.chunk DISABLE ROW LEVEL SECURITY", remedy: "ALTER TABLE memseal.chunk ENABLE ROW LEVEL SECURITY", says: /chunk is not under forced row security/ },
  { name: "a table whose row security is not forced", fault: "ALTER TABLE memseal.chunk NO FORCE ROW LEVEL SECURITY", remedy: "ALTER TABLE memseal.chunk FORCE ROW LEVEL SECURITY", says: /chunk is not under forced row security/ },
  { name: "a partition", fault: "CREATE TABLE memseal.whole (user_hash bytea) PARTITION BY LIST (user_hash); ALTER TABLE memseal.whole ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE TABLE memseal.part PARTITION OF memseal.whole DEFAULT", remedy: "DROP TABLE memseal.whole", says: /part is not under forced row security/ },
  { name: "a second permissive policy", fault: "CREATE POLICY second ON memseal.memory USING (true)", remedy: "DROP POLICY second ON memseal.memory", says: /policy second of table memory/ },
  { name: "a policy with another expression", fault: "ALTER POLICY tenant_isolation ON memseal.memory USING (true)", remedy: "ALTER POLICY tenant_isolation ON memseal.memory USING (user_hash = decode(nullif(current_setting('app.user_hash', true), ''), 'hex'))", says: /policy tenant_isolation of table memory/ },
  { name: "a policy for reading without a condition on writing", fault: "DROP POLICY tenant_isolation ON memseal.memory; CREATE POLICY tenant_isolation ON memseal.memory USING (user_hash = decode(nullif(current_setting('app.user_hash', true), ''), 'hex'))", remedy: "ALTER POLICY tenant_isolation ON memseal.memory WITH CHECK (user_hash = decode(nullif(current_setting('app.user_hash', true), ''), 'hex'))", says: /policy tenant_isolation of table memory/ },
  { name: "a scheduler's policy for everyone", fault: "ALTER POLICY due_tenants ON memseal.tenant TO PUBLIC", remedy: "ALTER POLICY due_tenants ON memseal.tenant TO memseal_scheduler", says: /policy due_tenants of table tenant/ },
  { name: "a unique key without the tenant", fault: "CREATE UNIQUE INDEX leaking ON memseal.memory (id)", remedy: "DROP INDEX memseal.leaking", says: /unique key memseal.leaking does not begin with user_hash/ },
  { name: "a unique key over an expression", fault: "CREATE UNIQUE INDEX leaking ON memseal.memory (lower(id::text))", remedy: "DROP INDEX memseal.leaking", says: /unique key memseal.leaking/ },
  { name: "a foreign key without the tenant", fault: "CREATE TABLE public.child (key_id text REFERENCES memseal.api_key)", remedy: "DROP TABLE public.child", says: /foreign key child_key_id_fkey/ },
  { name: "a view that reads as its owner", fault: "CREATE VIEW memseal.leaking AS SELECT * FROM memseal.memory", remedy: "DROP VIEW memseal.leaking", says: /view memseal.leaking reads tenants' rows as its owner/ },
  { name: "such a view in another schema", fault: "CREATE VIEW public.leaking WITH (security_invoker = false) AS SELECT count(*) FROM memseal.chunk", remedy: "DROP VIEW public.leaking", says: /view leaking reads/ },
  { name: "a materialized view", fault: "CREATE MATERIALIZED VIEW memseal.leaking AS SELECT id FROM memseal.memory", remedy: "DROP MATERIALIZED VIEW memseal.leaking", says: /view memseal.leaking reads/ },
  { name: "a SECURITY DEFINER function", fault: "CREATE FUNCTION memseal.leaking() RETURNS SETOF bytea LANGUAGE sql SECURITY DEFINER AS 'SELECT user_hash FROM memseal.memory'", remedy: "DROP FUNCTION memseal.leaking", says: /function memseal.leaking\(\) runs with its owner's rights/ },
  { name: "a key lookup without its search path", fault: "ALTER FUNCTION memseal.resolve_api_key RESET search_path", remedy: "ALTER FUNCTION memseal.resolve_api_key SET search_path = pg_catalog, pg_temp", says: /resolve_api_key\(text,bytea\) runs/, as: "auth" },
  { name: "a key lookup of another owner", fault: "ALTER FUNCTION memseal.resolve_api_key OWNER TO CURRENT_USER", remedy: "ALTER FUNCTION memseal.resolve_api_key OWNER TO memseal_keys", says: /resolve_api_key\(text,bytea\) runs/, as: "auth" },
  { name: "a role that may truncate", fault: "GRANT TRUNCATE ON memseal.memory TO memseal_app", remedy: "REVOKE TRUNCATE ON memseal.memory FROM memseal_app", says: /may truncate, reference or put triggers on table memory/ },
  { name: "a role that may create tables beside ours", fault: "GRANT CREATE ON SCHEMA memseal TO memseal_app", remedy: "REVOKE CREATE ON SCHEMA memseal FROM memseal_app", says: /may create objects in schema memseal/ },
];

for (const { name, start } of testServers()) {
  (start === undefined ? describe.skip : describe)(`start checks on ${name}`, () => {
    let test: TestDatabase;
    beforeAll(async () => { test = await start!(); });
    afterAll(() => test.stop());

    const check = (role: "app" | "auth" | "owner") => withClient(test.urls[role], assertSafeRole);

    it("accept the app and the auth role", async () => {
      await check("app");
      await check("auth");
    });

    it("refuse a superuser and the owner of the tables", async () => {
      await expect(withClient(test.superuser, assertSafeRole)).rejects.toThrow("is superuser or bypasses");
      await expect(check("owner")).rejects.toThrow("owns table");
    });

    it("accept a view that reads as whoever asks", async () => {
      await test.asSuperuser("CREATE VIEW memseal.invoked WITH (security_invoker = true) AS SELECT id FROM memseal.memory");
      await check("app");
      await test.asSuperuser("DROP VIEW memseal.invoked");
    });

    it.each(FAULTS)("refuse $name, saying so", async ({ fault, remedy, says, as }) => {
      const role = as ?? "app";
      await check(role);
      await test.asSuperuser(fault);
      try {
        await expect(check(role)).rejects.toThrow(says);
      } finally {
        await test.asSuperuser(remedy);
      }
      await check(role);
    });

    it.each([
      { number: 99, minService: 98, says: /schema 99, for services built for schema 98 or later; this release is built for schema 4: run a newer release/ },
      { number: 99, minService: 4, says: undefined },
    ])("say of schema $number for services from $minService on whether this release runs on it", async ({ number, minService, says }) => {
      await test.asSuperuser("INSERT INTO memseal.schema_version (number, min_service) VALUES ($1, $2)", [number, minService]);
      try {
        const checked = withClient(test.urls.app, assertSchema);
        await (says === undefined ? checked : expect(checked).rejects.toThrow(says));
      } finally {
        await test.asSuperuser("DELETE FROM memseal.schema_version WHERE number = $1", [number]);
      }
    });

    it("refuse a schema that is too old, naming both and the remedy", async () => {
      await test.asSuperuser("UPDATE memseal.schema_version SET number = -4 WHERE number = 4");
      try {
        await expect(withClient(test.urls.app, assertSchema)).rejects.toThrow(/at schema 3; .* built for schema 4 .*memseal migrate up/);
      } finally {
        await test.asSuperuser("UPDATE memseal.schema_version SET number = 3 WHERE number = -3");
      }
    });
  });
}
