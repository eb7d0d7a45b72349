import { errorOf, MemsealError } from "./errors.js";
import { retryDelayMs } from "./retry.js";
import type { TimeBudget } from "./time-budget.js";

/** The platform's fetch, or one that does the same. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface HttpRequest {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** With its query. */
  path: string;
  /** As on the wire; absent: none is sent. */
  body?: unknown;
  headers?: Readonly<Record<string, string>> | undefined;
}

export interface HttpParts {
  /** Without a slash at its end. */
  url: string;
  fetch: Fetch;
  maxRetries: number;
}

/** Sends requests, the transient failures again: each reads, or names itself, so that twice is as good as once. What fails in the end is a MemsealError. */
export class Http {
  constructor(private readonly parts: HttpParts) {}

  /** The body of the answer, as JSON. */
  json(request: HttpRequest, bearer: string, budget: TimeBudget): Promise<unknown> {
    return this.#untilDone(request, bearer, budget, async (response) => {
      const body = await response.text();
      if (!response.ok) throw errorOf({ status: response.status, headers: response.headers, body });
      return parsed(body, response);
    });
  }

  /** The answer once its stream has begun; what goes wrong later is the reader's to see. */
  stream(request: HttpRequest, bearer: string, budget: TimeBudget): Promise<{ body: ReadableStream<Uint8Array>; requestId: string | undefined }> {
    return this.#untilDone(request, bearer, budget, async (response) => {
      if (!response.ok) throw errorOf({ status: response.status, headers: response.headers, body: await response.text() });
      if (response.body === null) throw new TypeError("the answer has no body");
      return { body: response.body, requestId: response.headers.get("x-request-id") ?? undefined };
    });
  }

  async #untilDone<T>(request: HttpRequest, bearer: string, budget: TimeBudget, read: (response: Response) => Promise<T>): Promise<T> {
    const { maxRetries } = this.parts;
    for (let retries = 0; ; retries++) {
      try {
        return await read(await this.#send(request, bearer, budget));
      } catch (thrown) {
        budget.signal.throwIfAborted();
        const error = thrown instanceof MemsealError ? thrown : noAnswer(thrown);
        const delayMs = retryDelayMs(error, { retries, maxRetries, remainingMs: budget.remainingMs, random: Math.random() });
        if (delayMs === undefined) throw error;
        await budget.sleep(delayMs);
      }
    }
  }

  #send({ method, path, body, headers }: HttpRequest, bearer: string, budget: TimeBudget): Promise<Response> {
    const { url, fetch } = this.parts;
    return fetch(url + path, {
      method,
      headers: {
        ...headers,
        authorization: `Bearer ${bearer}`,
        "request-timeout-ms": String(budget.announcedMs),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: budget.signal,
      // A redirect would turn a POST into a GET, and says that the address is wrong.
      redirect: "error",
    });
  }
}

/** An answer of 2xx that is no JSON comes from something else than Memseal. */
function parsed(body: string, { status, headers }: Response): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new MemsealError("internal", "the answer is not JSON: check the URL", { status, requestId: headers.get("x-request-id") ?? undefined, cause });
  }
}

function noAnswer(cause: unknown): MemsealError {
  return new MemsealError("unavailable", "no answer came: check the URL, and that Memseal runs there", { cause });
}
