import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Memseal, type MemsealUser } from "@memseal/client";
import { parseConfig } from "@memseal/config";
import { StartupError } from "@memseal/errors";
import type { ArgsDef } from "citty";
import { cliConfig } from "./config.js";

/** Where `npm start` listens. */
export const DEFAULT_URL = "http://127.0.0.1:7480";

/** Options of every command that speaks to a gateway. */
export const CONNECTION_ARGS = {
  url: { type: "string", valueHint: "url", description: `The gateway's HTTP address; else MEMSEAL_URL, else ${DEFAULT_URL}` },
  "key-file": { type: "string", valueHint: "file", description: "A file that holds the API key; else MEMSEAL_API_KEY, else the key of `memseal start` on this machine" },
  "api-key": { type: "string", valueHint: "key", description: "The API key itself: seen by everyone who can list processes, so better one of the others" },
  user: { type: "string", valueHint: "id", description: "Whose memories, with a delegate key; else those of the key's own user" },
} as const satisfies ArgsDef;

export interface ConnectionChoice {
  url?: string | undefined;
  "key-file"?: string | undefined;
  "api-key"?: string | undefined;
  user?: string | undefined;
}

export interface Connection {
  url: string;
  /** Tells keys apart and is no secret: the part of an API key that its owner may show; "" of a token. */
  keyId: string;
  memseal: Memseal;
  /** The user of `--user`, or the key's own. */
  user: MemsealUser;
}

/** Long enough for a write that embeds much on a busy machine, with its retries. */
const TIMEOUT_MS = 60_000;

/** @throws StartupError when there is no key */
export function connect(choice: ConnectionChoice, env: NodeJS.ProcessEnv): Connection {
  const config = parseConfig(cliConfig, env);
  const url = choice.url ?? config.MEMSEAL_URL ?? DEFAULT_URL;
  const apiKey = keyOf(choice, config, { isLocal: url === DEFAULT_URL });
  let memseal: Memseal;
  try {
    memseal = new Memseal({ url, apiKey, timeoutMs: TIMEOUT_MS, delegate: choice.user === undefined ? false : undefined });
  } catch (cause) {
    throw new StartupError("the URL or the key is none: a URL begins with http:// or https://, a key with msk_", { cause });
  }
  const user = choice.user === undefined ? memseal.forOwnUser() : memseal.forUser(choice.user);
  return { url, keyId: /^msk_([A-Za-z0-9]+)_/.exec(apiKey)?.[1] ?? "", memseal, user };
}

function keyOf(choice: ConnectionChoice, config: ReturnType<typeof parseConfig<typeof cliConfig>>, { isLocal }: { isLocal: boolean }): string {
  if (choice["api-key"] !== undefined) {
    process.stderr.write("memseal: a key on the command line can be read by every user of this machine: better --key-file or MEMSEAL_API_KEY\n");
    return choice["api-key"];
  }
  if (choice["key-file"] !== undefined) return readKey(choice["key-file"]);
  if (config.MEMSEAL_API_KEY !== undefined) return config.MEMSEAL_API_KEY;
  // The key of this machine is for this machine alone.
  if (isLocal) return readKey(join(config.MEMSEAL_HOME, "api-key"));
  throw new StartupError(`there is no API key: set MEMSEAL_API_KEY, or give --key-file (the key of \`memseal start\` is sent to ${DEFAULT_URL} alone)`);
}

function readKey(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new StartupError(`there is no API key: set MEMSEAL_API_KEY, or give --key-file (${file} cannot be read)`, { cause });
  }
}
