import { Memseal, MemsealError, type MemsealUser, type SearchAnswer } from "@memseal/client";
import { TRACKS, type Track } from "../world.js";
import type { LoadRequest } from "./load-plan.js";
import type { Asked, LoadRow } from "./load-row.js";
import { memoriesOf, memoryText, queryText } from "./load-texts.js";

export interface LoadTarget {
  /** HTTP address of the load balancer. */
  readonly url: string;
  /** Lets a request name its track. */
  readonly trackSecret: string;
  /** API keys, one user each. */
  readonly keys: readonly string[];
}

/** What became of a request. */
export type Outcome = Pick<LoadRow, "track" | "status" | "ms" | "reranked" | "integrity_failures" | "error">;

type Seen = Pick<Outcome, "reranked" | "integrity_failures">;
const NOTHING: Seen = { reranked: null, integrity_failures: 0 };

/** The user of one key, who asks each thing once: what fails is to be seen. */
export class LoadUser {
  /** Of the memories that it was given. */
  #ids: readonly string[] = [];

  constructor(
    private readonly target: LoadTarget,
    private readonly credential: number,
  ) {}

  /** Has memories after this, the same however often it is done. */
  remember(asked: Asked): Promise<Outcome> {
    return this.#outcome(asked, async (user) => {
      this.#ids = (await user.add(memoriesOf(this.credential))).map(({ id }) => id);
      return NOTHING;
    });
  }

  /** n: makes the text of a write another than those before. */
  ask({ asked, kind, rerank, text }: Omit<LoadRequest, "credential">, n: number): Promise<Outcome> {
    return this.#outcome(asked, async (user) => {
      switch (kind) {
        case "search":
        case "search_reranked":
          return seenIn(await user.search(queryText(text), { rerank }), rerank);
        case "search_stream":
          return streamed(user, queryText(text), rerank);
        case "add":
          // Few keys: what a load leaves behind must not grow with it.
          await user.add({ key: `load-added-${n % 2}`, text: `${memoryText(text)} Noted as ${n}.` });
          return NOTHING;
        case "update":
          await user.update(this.#ids[text % this.#ids.length], { text: `${memoryText(text)} Noted as ${n}.` });
          return NOTHING;
      }
    });
  }

  async #outcome(asked: Asked, work: (user: MemsealUser) => Promise<Seen>): Promise<Outcome> {
    let answer: Response | undefined;
    const memseal = new Memseal({
      url: this.target.url,
      apiKey: this.target.keys[this.credential],
      delegate: false,
      maxRetries: 0,
      fetch: async (url, init) => {
        const headers = { ...(init.headers as Record<string, string>), "x-memseal-track-secret": this.target.trackSecret, ...(asked === "split" ? {} : { "x-memseal-track": asked }) };
        return (answer = await fetch(url, { ...init, headers }));
      },
    });
    const began = performance.now();
    const ended = await work(memseal.forOwnUser()).then((seen) => ({ ...seen, error: null }), (error: unknown) => ({ ...NOTHING, error: errorCode(error) }));
    return { track: trackOf(answer), status: answer?.status ?? 0, ms: Math.round((performance.now() - began) * 10) / 10, ...ended };
  }
}

function seenIn({ reranked, integrityFailures }: SearchAnswer, rerank: boolean): Seen {
  return { reranked: rerank ? reranked : null, integrity_failures: integrityFailures };
}

async function streamed(user: MemsealUser, query: string, rerank: boolean): Promise<Seen> {
  let seen = NOTHING;
  for await (const event of user.searchStream(query, { rerank })) {
    if (event.type === "results") seen = { reranked: rerank ? false : null, integrity_failures: event.answer.integrityFailures };
    else if (event.type === "reranked") seen = { ...seen, reranked: true };
  }
  return seen;
}

function trackOf(answer: Response | undefined): Track | null {
  return TRACKS.find((track) => track === answer?.headers.get("x-memseal-track")) ?? null;
}

type Caused = { readonly code?: unknown; readonly cause?: Caused } | undefined;

/** The connection's own code where there is one. An answer that the client cannot make sense of is a failure like others. */
function errorCode(error: unknown): string {
  if (!(error instanceof MemsealError)) return "unexpected_answer";
  for (let cause = error.cause as Caused; cause !== undefined; cause = cause.cause) {
    if (typeof cause.code === "string" && /^[A-Z_]+$/.test(cause.code)) return cause.code;
  }
  return error.code;
}
