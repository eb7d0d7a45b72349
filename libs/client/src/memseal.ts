import { Credentials, type TokenScope } from "./credentials.js";
import { Http, type Fetch } from "./http.js";
import { MemsealUser } from "./memseal-user.js";

export interface MemsealOptions {
  /** Where the gateway's HTTP is, such as `http://127.0.0.1:7480`; a path before `/v1` is kept. */
  url: string;
  /** An API key, or a JWT of an issuer that the service trusts. */
  apiKey: string;
  /**
   * Whether the key is a delegate's, which is exchanged for a token of each user. Absent: found out with the first
   * call, at the cost of one request that is refused where it is not.
   */
  delegate?: boolean | undefined;
  /** Of a delegate's tokens for memories; absent: read and write. `audit` and `erase` ask for admin by themselves. */
  scopes?: readonly TokenScope[] | undefined;
  /** For one call with all its retries; absent: 10 s. The service itself takes at most 30 s. */
  timeoutMs?: number | undefined;
  /** How often a transient failure is tried again; absent: 3. */
  maxRetries?: number | undefined;
  /** Absent: the platform's. */
  fetch?: Fetch | undefined;
}

const TIMEOUT_MS = 10_000;
const MAX_RETRIES = 3;

/** A Memseal and the key to it. */
export class Memseal {
  readonly #http: Http;
  readonly #credentials: Credentials;
  readonly #timeoutMs: number;

  /** @throws TypeError for a URL that is not http or https, or holds a user or a query, and for a key that no header can carry */
  constructor({ url, apiKey, delegate, scopes = ["read", "write"], timeoutMs = TIMEOUT_MS, maxRetries = MAX_RETRIES, fetch }: MemsealOptions) {
    if (!/^[\x21-\x7e]+$/.test(apiKey)) throw new TypeError("apiKey must be of visible ASCII characters");
    this.#timeoutMs = timeoutMs;
    // Called as a function of its own: browsers refuse a fetch that is called as a method.
    this.#http = new Http({ url: baseOf(url), maxRetries, fetch: fetch ?? ((input, init) => globalThis.fetch(input, init)) });
    this.#credentials = new Credentials({ http: this.#http, apiKey, delegate, scopes, timeoutMs });
  }

  /** The memories of one user. With a key that is another user's, calls that name the user are refused (403). */
  forUser(userId: string): MemsealUser {
    return this.#user(userId);
  }

  /** The memories of the user that the key is bound to, whoever that is. */
  forOwnUser(): MemsealUser {
    return this.#user(undefined);
  }

  #user(userId: string | undefined): MemsealUser {
    return new MemsealUser({ http: this.#http, credentials: this.#credentials, userId, timeoutMs: this.#timeoutMs });
  }
}

function baseOf(url: string): string {
  const { protocol, username, search, hash, origin, pathname } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") throw new TypeError("url must begin with http:// or https://");
  if (username !== "" || search !== "" || hash !== "") throw new TypeError("url must have no user, query or fragment");
  return origin + pathname.replace(/\/+$/, "");
}
