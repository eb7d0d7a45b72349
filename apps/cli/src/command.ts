import { parseArgs as parseStrictly, stripVTControlCharacters, type ParseArgsConfig } from "node:util";
import { MemsealError } from "@memseal/client";
import { AppError } from "@memseal/errors";
import { defineCommand, type ArgsDef, type CommandDef, type ParsedArgs } from "citty";

/** What a command answers: text for people, and the same as a value for `--json`. */
export interface CommandResult {
  text: string;
  json: unknown;
  exitCode?: number;
}

/** Exit codes, beside those that a command gives its answer. */
export const FAILED = 1;
export const MISUSED = 2;

const JSON_ARG = { json: { type: "boolean", description: "Answer with one JSON value on one line" } } as const;

/** The command is not used as it can be; the message says how it is. */
export class UsageError extends AppError {
  constructor(message: string) {
    super("invalid_argument", message);
  }
}

export interface CommandParts<T extends ArgsDef> {
  /** As it is called after `memseal`. */
  name: string;
  description: string;
  args: T;
  /** How many words beside its options it takes; absent: as many as it names. */
  words?: { max: number };
  run: (args: ParsedArgs<T & typeof JSON_ARG>) => Promise<CommandResult>;
}

/** A command with `--json`, refused where it is given what it does not know. Answers go to stdout, everything else to stderr. */
export function command<const T extends ArgsDef>({ name, description, args, words, run }: CommandParts<T>): CommandDef {
  const all: ArgsDef = { ...args, ...JSON_ARG };
  return defineCommand({
    // citty puts the name of the group before it.
    meta: { name: name.split(" ").at(-1), description },
    args: all,
    async run({ rawArgs, args: parsed }) {
      await answering(rawArgs, async () => {
        refuseUnknown(name, all, words?.max, rawArgs);
        const { text, json, exitCode = 0 } = await run(parsed as ParsedArgs<T & typeof JSON_ARG>);
        process.exitCode = exitCode;
        const shown = parsed["json"] === true ? JSON.stringify(json) : text;
        if (shown !== "") process.stdout.write(`${shown}\n`);
      });
    },
  });
}

/** Several commands under one word. */
export function group(name: string, description: string, subCommands: Record<string, CommandDef>): CommandDef {
  return defineCommand({ meta: { name: `memseal ${name}`, description }, subCommands });
}

/** Runs a command; what it throws becomes one line on stderr and the exit code. */
export async function answering(rawArgs: readonly string[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const error = shownOf(thrown);
    process.stderr.write(rawArgs.includes("--json") ? `${JSON.stringify({ error })}\n` : `memseal: ${error.message}${error.request_id === undefined ? "" : ` (request ${error.request_id})`}\n`);
    process.exitCode = error.code === "invalid_argument" && thrown instanceof Error && !(thrown instanceof MemsealError) ? MISUSED : FAILED;
  }
}

/** Only the product's own messages: a driver's could quote what it was given. */
function shownOf(thrown: unknown): { code: string; message: string; field?: string | undefined; request_id?: string | undefined } {
  if (thrown instanceof MemsealError) return { code: thrown.code, message: thrown.message, field: thrown.field, request_id: thrown.requestId };
  if (thrown instanceof AppError) return { code: thrown.code, message: thrown.message, field: thrown.field };
  // citty's own, which it does not export, with colours in it: a word or an option is missing.
  if (thrown instanceof Error && thrown.name === "CLIError") return { code: "invalid_argument", message: `${stripVTControlCharacters(thrown.message).replace(/\.$/, "")}; see --help` };
  return { code: "internal", message: "internal error" };
}

/** citty takes what it does not know for more words; a mistyped option must not be one. */
function refuseUnknown(name: string, args: ArgsDef, maxWords: number | undefined, rawArgs: string[]): void {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  let named = 0;
  for (const [option, { type }] of Object.entries(args)) {
    if (type === "positional") named++;
    else options[option] = { type: type === "boolean" ? "boolean" : "string" };
  }
  let given: number;
  try {
    given = parseStrictly({ args: rawArgs, options, allowPositionals: true }).positionals.length;
  } catch (error) {
    // Its first sentence names the option and never the value.
    const [problem] = (error as Error).message.split(/[.\n]/);
    throw new UsageError(`${problem}; see \`memseal ${name} --help\``);
  }
  if (given > (maxWords ?? named)) throw new UsageError(`too many words, or a text without quotes; see \`memseal ${name} --help\``);
}

/** A whole number. @throws UsageError */
export function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${option} must be a whole number`);
  return Number(text);
}

/** A number. @throws UsageError */
export function decimalNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,9}(\.\d{1,9})?$/.test(text)) throw new UsageError(`--${option} must be a number`);
  return Number(text);
}

/** An object as JSON. @throws UsageError */
export function jsonObject(option: string, text: string | undefined): object | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new UsageError(`--${option} must be a JSON object`);
}

/** Comma-separated. */
export function listOf(text: string | undefined): string[] | undefined {
  return text?.split(",").map((item) => item.trim()).filter((item) => item !== "");
}
