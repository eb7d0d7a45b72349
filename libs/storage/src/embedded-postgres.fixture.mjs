// Supervises an embedded database in a process of its own, for tests that kill it.
// usage: node embedded-postgres.fixture.mjs <folder>    prints the server's pid once it is ready
// It runs what is built, because node does not run TypeScript: build libs/storage first.
import { Logger } from "@memseal/telemetry";
import { EmbeddedPostgres } from "../dist/embedded-postgres.js";

const log = new Logger("fixture", () => undefined);
try {
  const postgres = await EmbeddedPostgres.start({ dataDir: process.argv[2], log });
  // As a string: a number would be printed in colour where FORCE_COLOR says so.
  console.log(String(postgres.pid));
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
