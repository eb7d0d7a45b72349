import { parseArgs, type ParseArgsConfig } from "node:util";
import { parseConfig } from "@memseal/config";
import { AppError } from "@memseal/errors";
import { inWords, migrateDown, migrateUp, schemaStatus, SERVICE_SCHEMA, type SchemaStatus } from "@memseal/storage";
import { cliConfig, ownerUrl } from "./config.js";

/** What a command prints, and the exit code it ends with. */
export interface CommandResult {
  text: string;
  exitCode: number;
}

const USAGE = "usage: memseal migrate up [--to N] [--json] | down [--to N] [--destroy-data] [--json] | status [--json]";

/** Exit codes of `status` beside 0: migrations of this release are missing; the database has some that it does not know. */
const BEHIND = 3;
const AHEAD = 4;

type Action = "up" | "down" | "status";

/** What each action takes. */
const OPTIONS: Readonly<Record<Action, NonNullable<ParseArgsConfig["options"]>>> = {
  up: { to: { type: "string" }, json: { type: "boolean" } },
  down: { to: { type: "string" }, "destroy-data": { type: "boolean" }, json: { type: "boolean" } },
  status: { json: { type: "boolean" } },
};

interface Request {
  action: Action;
  to: number | undefined;
  destroyData: boolean;
  json: boolean;
}

/** `memseal migrate`: the schema's way up and down, and where it is, as the database's owner. */
export async function migrate(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const { action, to, destroyData, json } = parse(args);
  const url = ownerUrl(parseConfig(cliConfig, env));
  switch (action) {
    case "up": {
      const applied = await migrateUp(url, { to });
      const { schema } = await schemaStatus(url);
      const lines = [...applied.map((number) => `applied ${number}`), `the database is at schema ${schema}`];
      return { text: json ? JSON.stringify({ applied, schema }) : lines.join("\n"), exitCode: 0 };
    }
    case "down": {
      const lost = await migrateDown(url, { to, destroyData });
      const { schema } = await schemaStatus(url);
      const lines = [...(lost.length === 0 ? [] : [`destroyed ${inWords(lost)}`]), `the database is at schema ${schema}`];
      return { text: json ? JSON.stringify({ lost, schema }) : lines.join("\n"), exitCode: 0 };
    }
    case "status": {
      const status = await schemaStatus(url);
      return { text: json ? JSON.stringify(statusFields(status)) : describe(status), exitCode: status.schema === status.newest ? 0 : status.schema < status.newest ? BEHIND : AHEAD };
    }
  }
}

function parse([action, ...args]: readonly string[]): Request {
  try {
    if (action !== "up" && action !== "down" && action !== "status") throw new TypeError("no such action");
    const values = parseArgs({ args: [...args], options: OPTIONS[action] }).values as { to?: string; "destroy-data"?: boolean; json?: boolean };
    if (values.to !== undefined && !/^\d{1,4}$/.test(values.to)) throw new TypeError("--to takes the number of a migration");
    return {
      action,
      to: values.to === undefined ? undefined : Number(values.to),
      destroyData: values["destroy-data"] ?? false,
      json: values.json ?? false,
    };
  } catch (error) {
    throw new AppError("invalid_argument", USAGE, { cause: error });
  }
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
