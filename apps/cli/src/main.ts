import { AppError } from "@memseal/errors";
import { keys } from "./keys.js";

const USAGE = `usage: memseal <command>

  keys create --user <id> [--scopes read,write]    a new API key for one user
`;

/** The command line. Answers go to stdout, everything else to stderr; exit code 1 says that it failed. */
async function main([command, ...args]: readonly string[]): Promise<void> {
  switch (command) {
    case "keys":
      process.stdout.write(`${await keys(args, process.env)}\n`);
      return;
    default:
      process.stderr.write(USAGE);
      process.exitCode = 1;
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // Only the product's own messages: a driver's could quote what it was given.
  process.stderr.write(`memseal: ${error instanceof AppError ? error.message : "internal error"}\n`);
  process.exitCode = 1;
}
