import { TRANSPORTS, type Answer, type Ask, type Gateway, type Json, type Method, type Transport } from "./gateway.js";

/** What HTTP answers to each code. */
const STATUS: Readonly<Record<string, number>> = {
  ok: 200, invalid_argument: 400, unauthenticated: 401, permission_denied: 403, not_found: 404, already_exists: 409, aborted: 409, failed_precondition: 412,
  resource_exhausted: 429, data_loss: 500, unavailable: 503, deadline_exceeded: 504,
};

/** What both transports are to answer. */
export interface Expected {
  code: string;
  /** Over HTTP; absent: as the code has it. */
  status?: number;
  /** One for both transports, or one for each: a filter is written differently, and JSON and protobuf nest differently. */
  field?: string | Readonly<Record<Transport, string>>;
  /** Seconds; absent: nobody says when to come back. */
  retryAfter?: string | RegExp;
  /** Of both, behind the field that is at fault. */
  detail?: string | RegExp;
  /** Why each transport says it in its own words; absent: both say the same. */
  ownWords?: string;
}

type Answers = Readonly<Record<Transport, Answer>>;

/** Asks over both transports and holds the answers to what is expected, and to each other. */
export class Comparison {
  readonly #compared = new Map<Method, Set<"success" | "failure">>();

  /** What was compared of each call. */
  get compared(): Readonly<Partial<Record<Method, string[]>>> {
    return Object.fromEntries([...this.#compared].map(([method, outcomes]) => [method, [...outcomes].sort()]));
  }

  /** @throws where an answer is another, or the two are not the same but for ids and times */
  async compare(gateway: Gateway, ask: (transport: Transport) => Ask, expected: Expected): Promise<Answers> {
    const asks = { http: ask("http"), grpc: ask("grpc") };
    const answers = { http: await gateway.ask("http", asks.http), grpc: await gateway.ask("grpc", asks.grpc) };
    for (const transport of TRANSPORTS) this.#check(transport, answers[transport], expected);
    const [http, grpc] = [answers.http, answers.grpc].map((answer) => (expected.code === "ok" ? successOf(answer) : failureOf(answer)));
    if (expected.ownWords === undefined) expect(grpc).toEqual(http);
    this.note(asks.http.method, expected.code);
    return answers;
  }

  /** For a call that one transport alone has. */
  note(method: Method, code: string): void {
    const outcomes = this.#compared.get(method) ?? new Set();
    this.#compared.set(method, outcomes.add(code === "ok" ? "success" : "failure"));
  }

  #check(transport: Transport, answer: Answer, { code, status = STATUS[code], field, retryAfter, detail }: Expected): void {
    const expectedField = typeof field === "object" ? field[transport] : field;
    expect({ transport, code: answer.code, detail: answer.body["detail"], field: answer.field, retryAfter: answer.retryAfter }).toEqual({
      transport,
      code,
      detail: code === "ok" ? undefined : expect.any(String) as string,
      field: expectedField,
      retryAfter: retryAfter instanceof RegExp ? expect.stringMatching(retryAfter) as string : retryAfter,
    });
    if (transport === "http") {
      expect(answer.status).toBe(status);
      if (code !== "ok") expect(answer.body).toMatchObject({ type: `urn:memseal:problem:${code}`, status, code, request_id: answer.requestId });
    }
    if (detail !== undefined) expect(wordsOf(answer)).toEqual(detail instanceof RegExp ? expect.stringMatching(detail) : detail);
  }
}

/** The detail without the path it may begin with. */
function wordsOf({ body, field }: Answer): string {
  return String(body["detail"]).replace(`${field}: `, "");
}

function failureOf(answer: Answer): object {
  return { detail: wordsOf(answer), retryAfter: answer.retryAfter };
}

function successOf({ body, isReplayed }: Answer): object {
  return { body: settled(body), isReplayed };
}

/** What differs from call to call. */
const OWN = /^(id|request_id|created_at|updated_at|at|erased_at|expires_at|token|next_cursor|actor|target|mac|bytes|signed)$/;

/** A body with that left out, and each number as far as single precision tells. */
function settled(body: Json): unknown {
  return JSON.parse(JSON.stringify(body, (name, value: unknown) => {
    if (name === "latency_ms") return Object.keys(value as object);
    if (typeof value === "number") return Number(value.toPrecision(5));
    return OWN.test(name) ? typeof value : value;
  }));
}
