import { defineCommand, renderUsage, runCommand, runMain } from "citty";
import { answering, command, MISUSED } from "./command.js";
import { start } from "./start.js";

const startCommand = command({
  name: "start",
  description: "Run everything on this machine: PostgreSQL, the services, a first API key",
  args: {},
  run: async () => ({ text: "", json: null, exitCode: await start() }),
});

const memories = () => import("./memory-commands.js");

/** Each is loaded when it is called: most need little of what all need together. */
const memseal = defineCommand({
  meta: { name: "memseal", version: "0.1.0", description: "A memory for AI applications that keeps nothing readable at rest. Exit codes: 0 done, 1 failed, 2 misused" },
  subCommands: {
    start: startCommand,
    add: async () => (await memories()).addCommand,
    search: async () => (await memories()).searchCommand,
    list: async () => (await memories()).listCommand,
    get: async () => (await memories()).getCommand,
    delete: async () => (await memories()).deleteCommand,
    import: async () => (await memories()).importCommand,
    export: async () => (await memories()).exportCommand,
    "round-trip": async () => (await import("./round-trip.js")).roundTripCommand,
    doctor: async () => (await import("./doctor.js")).doctorCommand,
    keys: async () => (await import("./keys-commands.js")).keysCommand,
    token: async () => (await import("./keys-commands.js")).tokenCommand,
    models: async () => (await import("./models-commands.js")).modelsCommand,
    migrate: async () => (await import("./migrate-commands.js")).migrateCommand,
  },
});

/** The command line. citty's own way to run prints errors as it likes; its help is used as it is. */
export async function runMemseal(rawArgs: string[]): Promise<void> {
  if (rawArgs.length === 0) {
    process.stderr.write(`${await renderUsage(memseal)}\n`);
    process.exitCode = MISUSED;
    return;
  }
  const options = rawArgs.includes("--") ? rawArgs.slice(0, rawArgs.indexOf("--")) : rawArgs;
  if (options.some((arg) => ["--help", "-h", "--version", "-v"].includes(arg))) {
    await runMain(memseal, { rawArgs });
    return;
  }
  await answering(rawArgs, () => runCommand(memseal, { rawArgs }));
}
