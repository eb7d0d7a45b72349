import { AppError } from "@memseal/errors";
import { keys, token } from "./keys.js";
import { migrate } from "./migrate.js";

const USAGE = `usage: memseal <command>

  keys create --user <id> | --delegate             a new API key, for one user or to be exchanged for tokens
  keys list                                        every API key, without secrets and users
  keys revoke <key id>                             end a key within 30 s
  token --user <id> [--ttl 900]                    exchange the delegate key in MEMSEAL_API_KEY for a token
  migrate up [--to N]                              apply what the schema is missing
  migrate down [--to N] [--destroy-data]           take the newest migration back
  migrate status                                   what is applied, and which services can run
`;

/** Exit codes, beside those that a command gives its answer. */
const FAILED = 1;
const MISUSED = 2;

/** The command line. Answers go to stdout, everything else to stderr. */
async function main([command, ...args]: readonly string[]): Promise<void> {
  switch (command) {
    case "keys":
      process.stdout.write(`${await keys(args, process.env)}\n`);
      return;
    case "token":
      process.stdout.write(`${await token(args, process.env)}\n`);
      return;
    case "migrate": {
      const { text, exitCode } = await migrate(args, process.env);
      process.stdout.write(`${text}\n`);
      process.exitCode = exitCode;
      return;
    }
    default:
      process.stderr.write(USAGE);
      process.exitCode = MISUSED;
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // Only the product's own messages: a driver's could quote what it was given.
  process.stderr.write(`memseal: ${error instanceof AppError ? error.message : "internal error"}\n`);
  process.exitCode = error instanceof AppError && error.code === "invalid_argument" ? MISUSED : FAILED;
}
