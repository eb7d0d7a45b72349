import { MemsealError } from "./errors.js";
import type { Http } from "./http.js";
import { TimeBudget } from "./time-budget.js";

/** What a token is for: a user's memories, or what asks for the scope admin. */
export type Purpose = "memories" | "administration";

export type TokenScope = "read" | "write" | "admin";

export interface CredentialsParts {
  http: Http;
  apiKey: string;
  /** undefined: asked of the service once. */
  delegate: boolean | undefined;
  /** Of tokens for memories. */
  scopes: readonly TokenScope[];
  timeoutMs: number;
}

/** The longest life that the service gives a token. */
const TOKEN_TTL_S = 900;

/** A token is not used for its last minute: a call that begins then may end after it. */
const MARGIN_MS = 60_000;

/** Users whose tokens are remembered. */
const MOST_TOKENS = 10_000;

interface Token {
  text: Promise<string>;
  /** By this clock, from when it was asked for: the service's may differ. */
  freshUntilMs: number;
}

/** What goes into `Authorization`: the API key as it is, or for a delegate key a token of the user, renewed in time. */
export class Credentials {
  #delegate: boolean | undefined;
  /** By user and purpose; the least recently made first. */
  readonly #tokens = new Map<string, Token>();

  constructor(private readonly parts: CredentialsParts) {
    this.#delegate = parts.delegate;
  }

  /** user: undefined for the one that the API key is bound to. */
  async bearer(user: string | undefined, purpose: Purpose): Promise<string> {
    if (user === undefined || this.#delegate === false) return this.parts.apiKey;
    try {
      const token = await this.#token(user, purpose);
      this.#delegate = true;
      return token;
    } catch (error) {
      // The key of one user may not make tokens. Which user it is, the service compares with the one named in each body.
      if (this.#delegate !== undefined || !(error instanceof MemsealError && error.code === "permission_denied")) throw error;
      this.#delegate = false;
      return this.parts.apiKey;
    }
  }

  /** Whether another attempt would be made with another token than the one that was refused. */
  forget(user: string | undefined, purpose: Purpose): boolean {
    return user !== undefined && this.#tokens.delete(keyOf(user, purpose));
  }

  /** Callers who ask at the same time share one request. */
  #token(user: string, purpose: Purpose): Promise<string> {
    const key = keyOf(user, purpose);
    const known = this.#tokens.get(key);
    if (known !== undefined && known.freshUntilMs > Date.now()) return known.text;
    const token: Token = { text: this.#ask(user, purpose), freshUntilMs: Date.now() + TOKEN_TTL_S * 1000 - MARGIN_MS };
    this.#tokens.delete(key);
    this.#tokens.set(key, token);
    this.#forgetOldest();
    token.text.catch(() => {
      if (this.#tokens.get(key) === token) this.#tokens.delete(key);
    });
    return token.text;
  }

  /** Takes the client's time, not the first caller's: others wait for it, too. */
  async #ask(user: string, purpose: Purpose): Promise<string> {
    const { http, apiKey, scopes, timeoutMs } = this.parts;
    const budget = new TimeBudget(timeoutMs, undefined);
    try {
      const body = { user_id: user, scopes: purpose === "administration" ? ["admin"] : scopes, ttl_s: TOKEN_TTL_S };
      const answer = await http.json({ method: "POST", path: "/v1/tokens", body }, apiKey, budget);
      return (answer as { token: string }).token;
    } finally {
      budget.end();
    }
  }

  #forgetOldest(): void {
    if (this.#tokens.size <= MOST_TOKENS) return;
    for (const [oldest] of this.#tokens) {
      this.#tokens.delete(oldest);
      return;
    }
  }
}

function keyOf(user: string, purpose: Purpose): string {
  return `${purpose} ${user}`;
}
