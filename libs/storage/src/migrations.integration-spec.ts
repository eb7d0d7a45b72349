import { randomBytes } from "node:crypto";
import { StartupError } from "@memseal/errors";
import pg from "pg";
import { CATALOG } from "./catalog.fixture.js";
import { migrateDown, migrateUp, schemaStatus } from "./migrate.js";
import { ownerDataSource } from "./owner-data-source.js";
import { readAsRelease1, writeAsRelease1 } from "./release-1.fixture.js";
import { assertSchema, SERVICE_SCHEMA } from "./start-checks.js";
import { startTestDatabase, type TestDatabase } from "./testing.js";

const TABLES_OF_1 = ["tenant", "tenant_key", "memory", "chunk", "memory_tombstone", "embedding_generation", "api_key"];
const TABLES_OF_2 = ["memory_version", "idempotency", "audit_event"];
const TABLES_OF_3 = ["key_event"];
const TABLES_OF_4 = ["root_key", "erasure"];

let test: TestDatabase;
beforeAll(async () => { test = await startTestDatabase(); });
afterAll(() => test.stop());

beforeEach(async () => {
  await test.asSuperuser("DROP SCHEMA memseal CASCADE");
  await up();
});

const up = (to?: number) => migrateUp(test.urls.owner, { to });
const down = (to: number, destroyData = false) => migrateDown(test.urls.owner, { to, destroyData });
const catalog = async () => (await test.asSuperuser<{ line: string }>(CATALOG)).map(({ line }) => line);
const schemaNumber = async () => (await schemaStatus(test.urls.owner)).schema;

/** Each row of the tables as PostgreSQL's own text, without a column that came later. */
async function rows(tables: readonly string[]): Promise<string[]> {
  const found = await Promise.all(tables.map((table) => test.asSuperuser<{ row: string }>(`SELECT (to_jsonb(t) ${table === "api_key" ? "- 'mac'" : ""})::text AS row FROM memseal.${table} AS t ORDER BY 1`)));
  return found.flatMap((of, i) => of.map(({ row }) => `${tables[i]} ${row}`));
}

/** A row of a tenant in each table that schema 2 adds. */
async function fillTablesOf2(tenant: Buffer): Promise<void> {
  const ref = randomBytes(32);
  await test.asSuperuser("INSERT INTO memseal.memory_version VALUES ($1, gen_random_uuid(), 1, 'create', 'text', 'meta', now())", [tenant]);
  await test.asSuperuser("INSERT INTO memseal.idempotency VALUES ($1, $2, $2, 'response', now())", [tenant, ref]);
  await test.asSuperuser("INSERT INTO memseal.audit_event VALUES ($1, 1, now(), $2, 'memory.write', NULL, 'ok', $2)", [tenant, ref]);
}

/** A row in the table that schema 3 adds. */
async function fillTablesOf3(): Promise<void> {
  await test.asSuperuser("INSERT INTO memseal.key_event VALUES (1, now(), 'create', 'abcdefghijkl', $1)", [randomBytes(32)]);
}

/** A row in each table that schema 4 adds. */
async function fillTablesOf4(tenant: Buffer): Promise<void> {
  await test.asSuperuser("INSERT INTO memseal.root_key VALUES (1, 'file', 'root-1', now(), now(), NULL)");
  await test.asSuperuser("INSERT INTO memseal.erasure VALUES ($1, gen_random_uuid(), now(), 1, 9, '{root-1}')", [tenant]);
}

describe("migrations", () => {
  it("make exactly the columns, keys and indexes of the entities", async () => {
    const source = ownerDataSource(test.urls.owner);
    await source.initialize();
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    await source.destroy();
    // Checks stand in the migrations alone.
    expect(upQueries.map(({ query }) => query).filter((query) => !query.endsWith('_check"'))).toEqual([]);
  });

  it("are numbered without a gap, and this release's services run on what they make", async () => {
    const { steps, schema, newest, minService } = await schemaStatus(test.urls.owner);
    expect(steps.map(({ number }) => number)).toEqual(steps.map((_step, i) => i + 1));
    expect([schema, newest]).toEqual([SERVICE_SCHEMA, SERVICE_SCHEMA]);
    expect(minService).toBeLessThanOrEqual(SERVICE_SCHEMA);
    // Contract two releases after expand: the services of the release before still run.
    expect(minService).toBeLessThan(schema);
  });

  it("go down to exactly the schema that was there before, and up to the same again", async () => {
    const fourth = await catalog();
    expect(await down(3)).toEqual([]);
    const third = await catalog();
    expect(await down(2)).toEqual([]);
    const second = await catalog();
    expect(await down(1)).toEqual([]);
    const first = await catalog();
    expect(await down(0)).toEqual([]);
    expect(await catalog()).toEqual([expect.stringMatching(/^schema \| memseal \| memseal_owner \| memseal_owner CREATE f, memseal_owner USAGE f$/)]);

    expect(await up(1)).toEqual([1]);
    expect(await catalog()).toEqual(first);
    expect(await up(2)).toEqual([2]);
    expect(await catalog()).toEqual(second);
    expect(await up(3)).toEqual([3]);
    expect(await catalog()).toEqual(third);
    expect(await up()).toEqual([4]);
    expect(await catalog()).toEqual(fourth);
    expect(await down(3)).toEqual([]);
    expect(await up()).toEqual([4]);
    expect(await catalog()).toEqual(fourth);
    expect(second.length).toBeGreaterThan(first.length);
    expect(third.length).toBeGreaterThan(second.length);
    expect(fourth.length).toBeGreaterThan(third.length);
  });

  it("do nothing when there is nothing to do", async () => {
    expect(await up()).toEqual([]);
    await expect(down(4)).rejects.toThrow("there is nothing above 4 to take back");
    await expect(up(1)).rejects.toThrow("past 1: use `memseal migrate down --to 1`");
    await expect(up(9)).rejects.toThrow("this release has migrations up to 4 and none to 9");
  });

  it("are applied once when several start at the same time", async () => {
    await down(0);
    const applied = await Promise.all([up(), up(), up(), up()]);
    expect(applied.flat().sort()).toEqual([1, 2, 3, 4]);
    expect(await schemaNumber()).toBe(4);
  });
});

describe("the way up", () => {
  it("keeps every row, as the release before reads it", async () => {
    const tenant = randomBytes(32);
    await down(1);
    await writeAsRelease1(test.urls, tenant);
    const [read, whole] = [await readAsRelease1(test.urls, tenant), await rows(TABLES_OF_1)];
    expect(TABLES_OF_1.filter((table) => !whole.some((row) => row.startsWith(`${table} `)))).toEqual([]);
    expect(read.found).toHaveLength(1);

    await up();
    expect(await rows(TABLES_OF_1)).toEqual(whole);
    expect(await readAsRelease1(test.urls, tenant)).toEqual(read);
  });

  it("leaves a schema that the release before goes on writing to", async () => {
    const [before, after] = [randomBytes(32), randomBytes(32)];
    await down(1);
    await writeAsRelease1(test.urls, before);
    await up();
    await writeAsRelease1(test.urls, after);
    expect(await readAsRelease1(test.urls, after)).toEqual(await readAsRelease1(test.urls, before));
  });

  it("leaves nothing of a migration that fails in the middle, and quotes no row", async () => {
    await down(1);
    const tenant = randomBytes(32);
    const ref = randomBytes(32);
    const insert = "INSERT INTO memseal.memory (user_hash, id, seq, row_version, key_ref, text_cipher, meta_cipher, created_at, updated_at) VALUES ($1, gen_random_uuid(), 1, 1, $2, 'text', 'meta', now(), now())";
    // Schema 2 has a unique key that these break, after it has made its tables.
    await test.asSuperuser(insert, [tenant, ref]);
    await test.asSuperuser(insert, [tenant, ref]);
    const [before, kept] = [await catalog(), await rows(TABLES_OF_1)];

    const failure = await up().catch((error: unknown) => error as Error);
    expect(failure).toBeInstanceOf(StartupError);
    expect((failure as Error).message).toBe("the migration to schema 2 failed, and nothing of it is kept (PostgreSQL's code 23505)");
    expect(await catalog()).toEqual(before);
    expect(await rows(TABLES_OF_1)).toEqual(kept);
    expect(await schemaNumber()).toBe(1);

    await test.asSuperuser("DELETE FROM memseal.memory");
    expect(await up()).toEqual([2, 3, 4]);
  });

  it("names a role that is missing and the SQL that makes it", async () => {
    await down(1);
    await test.asSuperuser("DROP OWNED BY memseal_scheduler; DROP ROLE memseal_scheduler");
    const failure = await up().catch((error: unknown) => error as Error);
    expect(failure).toBeInstanceOf(StartupError);
    const sql = /memseal_scheduler: as its superuser, run (CREATE ROLE .+;) \(docs/.exec((failure as Error).message)![1];
    expect(await schemaNumber()).toBe(1);

    await test.asSuperuser(sql);
    expect(await up()).toEqual([2, 3, 4]);
  });

  it("says what the owner lacks", async () => {
    await test.asSuperuser("REVOKE memseal_keys FROM memseal_owner");
    await expect(up()).rejects.toThrow("as superuser, run GRANT memseal_keys TO memseal_owner;");
    await test.asSuperuser("GRANT memseal_keys TO memseal_owner");
    expect(await up()).toEqual([]);
  });

  it("is the owner's alone", async () => {
    await expect(migrateUp(test.urls.app)).rejects.toThrow("DATABASE_OWNER_URL names memseal_app: connect as memseal_owner");
  });
});

describe("the way down", () => {
  it("refuses to lose rows, says how many of which tables, and leaves FORCE in place", async () => {
    for (const tenant of [randomBytes(32), randomBytes(32)]) await fillTablesOf2(tenant);
    await test.asSuperuser("DELETE FROM memseal.audit_event WHERE ctid = '(0,1)'");
    const [before, kept] = [await catalog(), await rows(TABLES_OF_2)];

    await expect(down(1)).rejects.toThrow("going down to schema 1 would lose 2 rows of memory_version, 2 rows of idempotency, 1 row of audit_event: to lose them for good, add --destroy-data");
    expect(await catalog()).toEqual(before);
    expect(await rows(TABLES_OF_2)).toEqual(kept);
    const unforced = await test.asSuperuser("SELECT relname FROM pg_class WHERE relnamespace = 'memseal'::regnamespace AND relrowsecurity AND NOT relforcerowsecurity");
    expect(unforced).toEqual([]);
  });

  it("refuses as a whole: of two steps that lose rows at the second, none is taken", async () => {
    await writeAsRelease1(test.urls, randomBytes(32));
    await expect(down(0)).rejects.toThrow("would lose 1 row of tenant, 1 row of tenant_key, 1 row of memory, 1 row of chunk, 1 row of memory_tombstone, 1 row of embedding_generation, 1 row of api_key");
    expect(await schemaNumber()).toBe(4);
  });

  it("loses rows when told to, says which, keeps the others, and goes up again", async () => {
    const tenant = randomBytes(32);
    await writeAsRelease1(test.urls, tenant);
    await fillTablesOf2(tenant);
    await fillTablesOf3();
    await fillTablesOf4(tenant);
    const [whole, kept] = [await catalog(), await rows(TABLES_OF_1)];

    expect(await down(1, true)).toEqual([...TABLES_OF_2, ...TABLES_OF_3, ...TABLES_OF_4].map((table) => ({ table, rows: 1 })));
    expect(await rows(TABLES_OF_1)).toEqual(kept);
    await readAsRelease1(test.urls, tenant);
    await up();
    expect(await catalog()).toEqual(whole);
    expect(await rows([...TABLES_OF_1, ...TABLES_OF_2, ...TABLES_OF_3, ...TABLES_OF_4])).toEqual(kept);
  });

  it("is not tried on a schema that this release does not know", async () => {
    await test.asSuperuser("INSERT INTO memseal.schema_version (number, min_service) VALUES (5, 3)");
    await expect(migrateDown(test.urls.owner)).rejects.toThrow("at schema 5 and this release knows only 4");
    expect(await up()).toEqual([]);
  });
});

describe("a service", () => {
  it.each([
    ["older than it needs", SERVICE_SCHEMA - 1, 1, false],
    ["its own", SERVICE_SCHEMA, 1, true],
    ["newer, and still for it", SERVICE_SCHEMA + 3, SERVICE_SCHEMA, true],
    ["newer, and no longer for it", SERVICE_SCHEMA + 1, SERVICE_SCHEMA + 1, false],
  ])("on a schema that is %s is let in only where it can run", async (_which, number, minService, runs) => {
    await test.asSuperuser("DELETE FROM memseal.schema_version");
    await test.asSuperuser("INSERT INTO memseal.schema_version (number, min_service) VALUES ($1, $2)", [number, minService]);
    const pool = new pg.Pool({ connectionString: test.urls.app, max: 1 });
    const answer = await assertSchema(pool).then(() => "runs", (error: unknown) => (error as Error).message);
    await pool.end();
    if (runs) expect(answer).toBe("runs");
    else {
      expect(answer).toContain(`the database is at schema ${number}`);
      expect(answer).toContain(`this release is built for schema ${SERVICE_SCHEMA}`);
    }
  });
});
