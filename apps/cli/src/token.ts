import { AppError, InvalidArgumentError, StartupError, UnavailableError, type ErrorCode } from "@memseal/errors";
import type { CommandResult } from "./command.js";
import { DEFAULT_URL } from "./connection.js";

const TIMEOUT_MS = 10_000;

export interface TokenRequest {
  user: string;
  /** Comma-separated. */
  scopes?: string | undefined;
  /** Seconds, 1 to 900. */
  ttl?: string | undefined;
  url?: string | undefined;
}

/**
 * `memseal token`: exchanges the delegate key in MEMSEAL_API_KEY for a token of one user, through the API.
 * @throws AppError as the gateway answered
 */
export async function createToken({ user, scopes = "read,write", ttl = "900", url }: TokenRequest, env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const key = env["MEMSEAL_API_KEY"];
  if (key === undefined || key === "") throw new StartupError("MEMSEAL_API_KEY must hold a delegate key: `memseal keys create --delegate` makes one");
  const response = await post(new URL(`${parseUrl(url ?? env["MEMSEAL_URL"] ?? DEFAULT_URL).replace(/\/+$/, "")}/v1/tokens`), key, { user_id: user, scopes: scopes.split(","), ttl_s: Number(ttl) });
  const answer = (await response.json().catch(() => ({}))) as { token?: string; code?: ErrorCode; detail?: string };
  if (answer.code !== undefined && answer.detail !== undefined) throw new AppError(answer.code, answer.detail);
  if (answer.token === undefined) throw new UnavailableError(`what answers at ${url ?? env["MEMSEAL_URL"] ?? DEFAULT_URL} is no Memseal (HTTP ${response.status}): check the address`);
  return { text: answer.token, json: answer };
}

async function post(url: URL, key: string, body: object): Promise<Response> {
  try {
    return await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      // A key goes where it was sent, and nowhere that answers with another address.
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    throw new UnavailableError(`the gateway at ${url.origin} cannot be reached`, { cause });
  }
}

function parseUrl(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) throw new InvalidArgumentError("--url", "begins with http:// or https://");
  return text;
}
