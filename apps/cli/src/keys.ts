import { parseArgs, type ParseArgsConfig } from "node:util";
import { AppError } from "@memseal/errors";
import { createKey, listKeys, revokeKey, type Said } from "./api-keys.js";
import { createToken } from "./token.js";

type Options = NonNullable<ParseArgsConfig["options"]>;

const KEYS_USAGE = "usage: memseal keys create (--user <id> | --delegate) [--namespace name] [--scopes read,write] [--days n] | list | revoke <key id>, each with [--json]";
const TOKEN_USAGE = "usage: memseal token --user <id> [--scopes read,write] [--ttl seconds] [--url address] [--json]";

const JSON_OPTION = { json: { type: "boolean" } } as const;
const CREATE_OPTIONS = { user: { type: "string" }, delegate: { type: "boolean" }, namespace: { type: "string" }, scopes: { type: "string" }, days: { type: "string" } } as const;
const TOKEN_OPTIONS = { user: { type: "string" }, scopes: { type: "string" }, ttl: { type: "string" }, url: { type: "string" } } as const;

/** `memseal keys`: made, shown and revoked as the database's owner, never over the network. */
export async function keys([action, ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  switch (action) {
    case "create": {
      const { values } = parse(args, CREATE_OPTIONS, KEYS_USAGE);
      return said(await createKey(values, env), values.json);
    }
    case "list": {
      const { values } = parse(args, {}, KEYS_USAGE);
      return said(await listKeys(env), values.json);
    }
    case "revoke": {
      const { values, positionals } = parse(args, {}, KEYS_USAGE, 1);
      return said(await revokeKey(positionals[0] ?? "", env), values.json);
    }
    default:
      throw new AppError("invalid_argument", KEYS_USAGE);
  }
}

/** `memseal token`: a delegate key's token for one user. */
export async function token(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { values } = parse(args, TOKEN_OPTIONS, TOKEN_USAGE);
  const { user, json, ...rest } = values;
  if (user === undefined) throw new AppError("invalid_argument", TOKEN_USAGE);
  return said(await createToken({ user, ...rest }, env), json);
}

function said({ text, json }: Said, asJson: boolean | undefined): string {
  return asJson === true ? JSON.stringify(json) : text;
}

/** words: how many stand beside the options. */
function parse<T extends Options>(args: readonly string[], options: T, usage: string, words = 0) {
  try {
    const parsed = parseArgs({ args: [...args], options: { ...options, ...JSON_OPTION }, allowPositionals: true });
    if (parsed.positionals.length !== words) throw new TypeError(usage);
    return parsed;
  } catch (error) {
    throw new AppError("invalid_argument", usage, { cause: error });
  }
}
