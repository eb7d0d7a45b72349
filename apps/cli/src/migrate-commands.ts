import { command, group, UsageError, wholeNumber } from "./command.js";
import { applyMigrations, migrationStatus, takeMigrationsBack } from "./migrate.js";

const TO_ARG = { to: { type: "string", valueHint: "n", description: "The number of the last migration to apply" } } as const;

export const migrateCommand = group("migrate", "The database's schema, as its owner", {
  up: command({ name: "migrate up", description: "Apply what is missing", args: TO_ARG, run: ({ to }) => applyMigrations(migrationNumber(to), process.env) }),
  down: command({
    name: "migrate down",
    description: "Take the newest migration back, or all above --to",
    args: {
      to: { type: "string", valueHint: "n", description: "The number of the last migration to stay" },
      "destroy-data": { type: "boolean", description: "Lose the rows that have no place in the older schema" },
    },
    run: (args) => takeMigrationsBack({ to: migrationNumber(args.to), destroyData: args["destroy-data"] === true }, process.env),
  }),
  status: command({ name: "migrate status", description: "What is applied, and which services can run. Exit code 3: something is missing, 4: a newer release's", args: {}, run: () => migrationStatus(process.env) }),
});

function migrationNumber(to: string | undefined): number | undefined {
  if (to !== undefined && to.length > 4) throw new UsageError("--to takes the number of a migration");
  return wholeNumber("to", to);
}
