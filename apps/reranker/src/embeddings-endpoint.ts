import { AppError, DeadlineExceededError, OverloadedError, UnavailableError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";
import { z } from "zod";
import type { CallScope } from "./batcher.js";

const ATTEMPTS = 3;
const BASE_DELAY_MS = 100;
/** A value as JSON prints it, with room to spare. */
const BYTES_A_VALUE = 32;
const BYTES_BESIDE = 65_536;

export interface EndpointSpec {
  /** Of the API: `/embeddings` is added to its path. */
  url: URL;
  model: string;
  dimension: number;
  apiKey: string | undefined;
  /** Of one attempt, to the last byte of the answer. */
  timeoutMs: number;
  log: Logger;
}

const responseBody = z.object({ data: z.array(z.object({ index: z.number(), embedding: z.array(z.number()) })) });

/** What an attempt ended with that another one may mend. */
class Transient extends Error {
  constructor(readonly reason: string, readonly outcome: AppError, readonly retryAfterMs = 0) {
    super(reason);
  }
}

/**
 * A client of `POST /v1/embeddings` as OpenAI and many servers speak it. Nothing of an answer is trusted: its size, the count, order and
 * dimension of its vectors and every value are checked. Neither texts nor the key are in any error or log line.
 */
export class EmbeddingsEndpoint {
  readonly model: string;
  readonly #target: URL;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(private readonly spec: EndpointSpec) {
    this.model = spec.model;
    this.#target = new URL(`${spec.url.href.replace(/\/$/, "")}/embeddings`);
    this.#headers = { "content-type": "application/json", ...(spec.apiKey === undefined ? {} : { authorization: `Bearer ${spec.apiKey}` }) };
  }

  /**
   * float32[dimension] of unit length for each text.
   * @throws OverloadedError where the endpoint says 429, UnavailableError where it cannot be reached or answers nothing usable,
   * DeadlineExceededError, AppError cancelled
   */
  async embed(texts: readonly string[], scope: Pick<CallScope, "signal" | "deadlineMs">): Promise<Float32Array[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(texts, scope);
      } catch (error) {
        if (scope.signal.aborted) throw new AppError("cancelled", "cancelled");
        if (!(error instanceof Transient)) {
          if (error instanceof UnavailableError) this.spec.log.warn("embedding endpoint failed", { reason: error.message, count: attempt });
          throw error;
        }
        this.spec.log.warn("embedding endpoint failed", { reason: error.reason, count: attempt });
        const delayMs = Math.max(error.retryAfterMs, BASE_DELAY_MS * 2 ** (attempt - 1));
        if (attempt === ATTEMPTS || Date.now() + delayMs >= scope.deadlineMs) throw error.outcome;
        await pause(delayMs, scope.signal);
      }
    }
  }

  async #attempt(texts: readonly string[], { signal, deadlineMs }: Pick<CallScope, "signal" | "deadlineMs">): Promise<Float32Array[]> {
    const { dimension, timeoutMs } = this.spec;
    const leftMs = Math.max(0, deadlineMs - Date.now());
    const limited = AbortSignal.any([signal, AbortSignal.timeout(Math.min(timeoutMs, leftMs))]);
    let text: string;
    try {
      const response = await fetch(this.#target, {
        method: "POST",
        headers: this.#headers,
        body: JSON.stringify({ model: this.model, input: texts, encoding_format: "float" }),
        // Texts and the key go to the host that was announced and to no other.
        redirect: "error",
        signal: limited,
      });
      await assertAnswered(response);
      text = await readAtMost(response, BYTES_BESIDE + texts.length * dimension * BYTES_A_VALUE);
    } catch (error) {
      if (error instanceof AppError || error instanceof Transient) throw error;
      if (limited.aborted && leftMs <= timeoutMs) throw new DeadlineExceededError();
      throw new Transient(limited.aborted ? "it did not answer in time" : "it cannot be reached", unavailable("cannot be reached, or not in time", error));
    }
    return vectorsOf(text, texts.length, dimension);
  }
}

/** @throws Transient where trying again makes sense, UnavailableError where the configuration is wrong */
async function assertAnswered(response: Response): Promise<void> {
  const { status } = response;
  if (status === 200) return;
  await response.body?.cancel();
  if (status === 429) throw new Transient("it answers 429", new OverloadedError("the embedding endpoint takes no more calls now; try again shortly"), retryAfterMs(response));
  if (status >= 500) throw new Transient(`it answers ${status}`, unavailable("fails"), retryAfterMs(response));
  throw unavailable(`refuses the call with ${status}: its URL, key or model is not as configured`);
}

/** Seconds as a number; a date is not waited for. */
function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0;
}

/** @throws UnavailableError for more bytes: the vectors asked for are fewer */
async function readAtMost({ body }: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw unavailable("answers more than was asked for");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** @throws UnavailableError unless it is one usable vector for each text */
export function vectorsOf(text: string, count: number, dimension: number): Float32Array[] {
  const parsed = responseBody.safeParse(parseJson(text));
  if (!parsed.success) throw unavailable("answers something else than embeddings");
  const { data } = parsed.data;
  if (data.length !== count) throw unavailable(`answers ${data.length} vectors for ${count} texts`);
  const vectors = new Map(data.map(({ index, embedding }) => [index, embedding]));
  return Array.from({ length: count }, (_, i) => {
    const embedding = vectors.get(i);
    if (embedding === undefined) throw unavailable("does not say which vector is whose");
    if (embedding.length !== dimension) throw unavailable(`answers vectors of ${embedding.length} values where ${dimension} are configured`);
    return unitVector(embedding);
  });
}

function unitVector(embedding: readonly number[]): Float32Array {
  const length = Math.sqrt(embedding.reduce((sum, value) => sum + value * value, 0));
  if (!Number.isFinite(length) || length === 0) throw unavailable("answers a vector that is not finite, or of length zero");
  return Float32Array.from(embedding, (value) => value / length);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What was not JSON could hold anything: it is not the cause of an error that is logged.
    return undefined;
  }
}

function unavailable(problem: string, cause?: unknown): UnavailableError {
  return new UnavailableError(`the embedding endpoint ${problem}`, { cause });
}

/** Resolves early when the caller leaves. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}
