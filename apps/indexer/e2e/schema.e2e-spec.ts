import { IndexerServiceService as Indexer } from "@memseal/contracts/indexer";
import { migrateDown, migrateUp, SERVICE_SCHEMA } from "@memseal/storage";
import { runToExit } from "@memseal/transport/testing";
import { createIndexerWorld, INDEXER_SCRIPT, newTenant, type IndexerWorld } from "./start-indexer.js";

let world: IndexerWorld;

beforeAll(async () => { world = await createIndexerWorld(); });
afterAll(() => world.database.stop());

/** As a release that came later would leave it. */
const laterRelease = (number: number, minService: number) => world.database.asSuperuser("INSERT INTO memseal.schema_version (number, min_service) VALUES ($1, $2)", [number, minService]);

const refusal = async () => {
  const { code, lines } = await runToExit(INDEXER_SCRIPT, { ...world.env, MEMSEAL_INDEXER_ADDRESS: "127.0.0.1:1" });
  expect(code).toBe(1);
  return lines.join("\n");
};

describe("an indexer", () => {
  afterEach(() => world.database.asSuperuser("DELETE FROM memseal.schema_version WHERE number > $1", [SERVICE_SCHEMA]));

  it("refuses a schema older than it needs, names both, and starts once it is migrated", async () => {
    await migrateDown(world.database.urls.owner);
    const reason = await refusal();
    await migrateUp(world.database.urls.owner);
    expect(reason).toContain('"event":"cannot start"');
    expect(reason).toContain(`the database is at schema ${SERVICE_SCHEMA - 1}`);
    expect(reason).toContain(`this release is built for schema ${SERVICE_SCHEMA}`);

    const indexer = await world.start();
    await indexer.process.kill("SIGTERM");
    expect(await indexer.process.exited).toBe(0);
  });

  it("refuses a schema that is no longer for it, and names what that needs", async () => {
    await laterRelease(SERVICE_SCHEMA + 1, SERVICE_SCHEMA - 1);
    await laterRelease(SERVICE_SCHEMA + 2, SERVICE_SCHEMA + 1);
    const reason = await refusal();
    expect(reason).toMatch(new RegExp(`the database is at schema ${SERVICE_SCHEMA + 2}\\b.*for services built for (schema )?${SERVICE_SCHEMA + 1} or later.*this release is built for schema ${SERVICE_SCHEMA}\\b`));
  });

  it("starts and answers on a newer schema that is still for it", async () => {
    await laterRelease(SERVICE_SCHEMA + 1, SERVICE_SCHEMA);
    const indexer = await world.start();
    const search = indexer.call(Indexer.search, "read", newTenant(), { query: "anything", vector: undefined, filters: undefined, candidates: 10 });
    expect((await search).candidates).toEqual([]);
    await indexer.process.kill("SIGTERM");
  });

  it("refuses a database that was never migrated", async () => {
    await migrateDown(world.database.urls.owner, { to: 0 });
    expect(await refusal()).toContain("the database has no memseal schema");
    await migrateUp(world.database.urls.owner);
  });
});
