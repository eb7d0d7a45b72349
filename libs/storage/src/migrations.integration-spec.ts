import { migrateDown, migrateUp } from "./migrate.js";
import { ownerDataSource } from "./owner-data-source.js";
import { startTestDatabase, type TestDatabase } from "./testing.js";

let test: TestDatabase;
beforeAll(async () => { test = await startTestDatabase(); });
afterAll(() => test.stop());

const tables = async () => (await test.asSuperuser<{ name: string }>(
  "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'memseal' AND tablename <> 'typeorm_migration' ORDER BY 1",
)).map(({ name }) => name);

describe("migrations", () => {
  it("make exactly the columns, keys and indexes of the entities", async () => {
    const source = ownerDataSource(test.urls.owner);
    await source.initialize();
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    await source.destroy();
    // Checks stand in the migrations alone.
    expect(upQueries.map(({ query }) => query).filter((query) => !query.endsWith('_check"'))).toEqual([]);
  });

  it("go down on a database with rows, and up again", async () => {
    const before = await tables();
    await test.asSuperuser("INSERT INTO memseal.tenant (user_hash) VALUES (decode(repeat('ab', 32), 'hex'))");
    await migrateDown(test.urls.owner, { to: 0, destroyData: true });
    expect(await tables()).toEqual([]);
    await migrateUp(test.urls.owner);
    expect(await tables()).toEqual(before);
  });

  it("do nothing when there is nothing to do, from two processes at once", async () => {
    await Promise.all([migrateUp(test.urls.owner), migrateUp(test.urls.owner)]);
    expect(await test.asSuperuser("SELECT number FROM memseal.schema_version")).toEqual([{ number: 1 }, { number: 2 }]);
  });
});
