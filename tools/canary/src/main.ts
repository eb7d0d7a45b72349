import { abort } from "./commands/abort.js";
import { approve } from "./commands/approve.js";
import { UsageError, type Command } from "./commands/command.js";
import { generate } from "./commands/generate.js";
import { plan } from "./commands/plan.js";
import { run as runRelease } from "./commands/run.js";
import { status } from "./commands/status.js";
import { verify } from "./commands/verify-evidence.js";

const COMMANDS: Readonly<Record<string, Command>> = { abort, approve, generate, plan, run: runRelease, status, "verify-evidence": verify };

const [word = "", ...args] = process.argv.slice(2);
process.exitCode = await run(Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined, args);

async function run(command: Command | undefined, args: readonly string[]): Promise<number> {
  try {
    if (command === undefined) throw new UsageError();
    return await command.run(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    if (error.message !== "") console.error(error.message);
    for (const line of (command === undefined ? Object.values(COMMANDS) : [command]).flatMap(({ usage }) => usage)) console.error(`usage: npm run canary -- ${line}`);
    return 2;
  }
}
