import { parseConfig } from "@memseal/config";
import { inWords, migrateDown, migrateUp, schemaStatus, SERVICE_SCHEMA, type SchemaStatus } from "@memseal/storage";
import type { CommandResult } from "./command.js";
import { cliConfig, ownerUrl } from "./config.js";

/** Exit codes of `status` beside 0: migrations of this release are missing; the database has some that it does not know. */
const BEHIND = 3;
const AHEAD = 4;

/** `memseal migrate up`, as the database's owner, as all here. to: the number of the last migration to apply. */
export async function applyMigrations(to: number | undefined, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const url = ownerUrl(parseConfig(cliConfig, env));
  const applied = await migrateUp(url, { to });
  const { schema } = await schemaStatus(url);
  return { text: [...applied.map((number) => `applied ${number}`), `the database is at schema ${schema}`].join("\n"), json: { applied, schema } };
}

/** `memseal migrate down`. to: the number of the last migration to stay. */
export async function takeMigrationsBack({ to, destroyData }: { to: number | undefined; destroyData: boolean }, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const url = ownerUrl(parseConfig(cliConfig, env));
  const lost = await migrateDown(url, { to, destroyData });
  const { schema } = await schemaStatus(url);
  return { text: [...(lost.length === 0 ? [] : [`destroyed ${inWords(lost)}`]), `the database is at schema ${schema}`].join("\n"), json: { lost, schema } };
}

/** `memseal migrate status`. */
export async function migrationStatus(env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const status = await schemaStatus(ownerUrl(parseConfig(cliConfig, env)));
  const exitCode = status.schema === status.newest ? 0 : status.schema < status.newest ? BEHIND : AHEAD;
  return { text: describe(status), json: statusFields(status), exitCode };
}

function statusFields({ schema, newest, minService, steps }: SchemaStatus) {
  return {
    schema,
    newest,
    services: schema === 0 ? null : { min: minService, max: schema },
    release: SERVICE_SCHEMA,
    migrations: steps.map((step) => ({ number: step.number, min_service: step.minService, applied_at: step.appliedAt?.toISOString() ?? null })),
  };
}

function describe({ schema, newest, minService, steps }: SchemaStatus): string {
  const rows = [["number", "min_service", "applied_at"], ...steps.map(({ number, minService: min, appliedAt }) => [String(number), String(min), appliedAt?.toISOString() ?? "not applied"])];
  const runs = minService <= SERVICE_SCHEMA && SERVICE_SCHEMA <= schema;
  return [
    ...rows.map(([number = "", min = "", at = ""]) => `${number.padEnd(8)}${min.padEnd(13)}${at}`),
    "",
    `the database is at schema ${schema}; this release has migrations up to ${newest}`,
    ...(schema === 0 ? [] : [`services built for schema ${minService === schema ? schema : `${minService} to ${schema}`} run on it`]),
    `services of this release are built for schema ${SERVICE_SCHEMA} and ${runs ? "run on it" : "do not start on it"}`,
  ].join("\n");
}
