import { approve } from "./commands/approve.js";
import { UsageError, type Command } from "./commands/command.js";
import { generate } from "./commands/generate.js";

const COMMANDS: Readonly<Record<string, Command>> = { approve, generate };

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
