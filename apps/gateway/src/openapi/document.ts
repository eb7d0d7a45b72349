import { statusOf, type ErrorCode } from "@memseal/errors";
import { MAX_MESSAGE_BYTES, REPLAYED_KEY, REQUEST_ID_KEY } from "@memseal/transport";
import { ANSWER_SCHEMAS } from "./answer-schemas.js";
import { FILTER_SCHEMAS } from "./filter-schemas.js";
import { ANSWER_HEADERS, IDEMPOTENCY_KEY, REQUEST_ID, TIMEOUT, type AnswerHeaderName } from "./headers.js";
import { OPERATIONS, type Operation } from "./operations.js";
import { REQUEST_SCHEMAS } from "./request-schemas.js";
import { ref, type Parameter } from "./schema.js";

const DESCRIPTION = `
A self-hosted memory service that keeps nothing readable at rest. The same calls are gRPC, \`memseal.v1.MemoryService\`.

Every call is for the one user whom its credential names; nothing in a request can name another. A field that is not
described here is refused, and so is a body of more than ${MAX_MESSAGE_BYTES} bytes. Times are RFC 3339. Every answer carries
\`${REQUEST_ID_KEY}\`; every fault is a problem document (RFC 9457) that says what to do and repeats nothing of the request.
`.trim();

/** What any operation with a credential may answer. */
const COMMON_ERRORS: readonly ErrorCode[] = [
  "invalid_argument", "unauthenticated", "permission_denied", "resource_exhausted", "unavailable", "deadline_exceeded", "internal",
];

const PATH_PARAMETERS: readonly Parameter[] = [
  { name: "id", description: "Of the memory, or of the erasure.", schema: { type: "string", format: "uuid" } },
  { name: "name", description: "Of the file.", schema: { type: "string" } },
];

/** The public HTTP API. version: of this product. */
export function openApiDocument(version: string): Readonly<Record<string, unknown>> {
  return {
    openapi: "3.1.1",
    info: { title: "Memseal", version, description: DESCRIPTION, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    servers: [{ url: "/" }],
    tags: [
      { name: "memories", description: "What a user's assistant remembers" },
      { name: "search" },
      { name: "administration", description: "For backends and owners" },
      { name: "operations", description: "For orchestrators, scrapers and readers; no credential" },
    ],
    paths: pathsOf(OPERATIONS),
    components: {
      schemas: { ...REQUEST_SCHEMAS, ...FILTER_SCHEMAS, ...ANSWER_SCHEMAS },
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "An API key `msk_...`, a token of `POST /v1/tokens`, or a JWT of a configured issuer." },
      },
    },
  };
}

/** Which headers an answer has always, and which at times. */
interface Headers {
  always: readonly AnswerHeaderName[];
  atTimes?: readonly AnswerHeaderName[];
}

function headersOf({ always, atTimes = [] }: Headers): object {
  const described = (names: readonly AnswerHeaderName[], required: boolean) => names.map((name): [string, object] => [name, { ...ANSWER_HEADERS[name], required }]);
  return Object.fromEntries([...described(always, true), ...described(atTimes, false)]);
}

const RATE = ["ratelimit-policy", "ratelimit"] as const;
/** What is answered only to a caller whose rate was looked at. */
const BEHIND_RATES: readonly number[] = [403, 404, 409, 412, 429];
/** What may be answered before that, too. */
const BEFORE_RATES: readonly number[] = [400, 500, 503, 504];

function pathsOf(operations: readonly Operation[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) (paths[operation.path] ??= {})[operation.verb] = operationOf(operation);
  return paths;
}

function operationOf({ id, tag, summary, description, scope, path, query = [], headers: own = [], body, success, errors = [] }: Operation): object {
  const isReplayable = own.includes(IDEMPOTENCY_KEY);
  const parameters = [
    ...PATH_PARAMETERS.filter(({ name }) => path.includes(`{${name}}`)).map((one) => parameter("path", one)),
    ...query.map((one) => parameter("query", one)),
    ...[...own, ...(scope === undefined ? [] : [TIMEOUT]), REQUEST_ID].map((one) => parameter("header", one)),
  ];
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...describe(description, scope),
    security: scope === undefined ? [] : [{ bearer: [] }],
    parameters,
    ...(body === undefined ? {} : { requestBody: bodyOf(body) }),
    responses: {
      [success.status]: {
        description: success.description,
        headers: headersOf({
          always: [REQUEST_ID_KEY, ...(scope === undefined ? [] : RATE), ...(success.isTagged ? ["etag"] as const : [])],
          atTimes: isReplayable ? [REPLAYED_KEY] : [],
        }),
        content: success.content,
      },
      ...problemsOf([...(scope === undefined ? ["internal"] as const : COMMON_ERRORS), ...errors], { hasBody: body !== undefined, isRated: scope !== undefined }),
    },
  };
}

function describe(description: string | undefined, scope: Operation["scope"]): { description?: string } {
  const parts = [description, scope === undefined ? undefined : `Scope \`${scope}\`.`].filter((part) => part !== undefined);
  return parts.length === 0 ? {} : { description: parts.join(" ") };
}

function parameter(place: "path" | "query" | "header", { name, description, schema, json }: Parameter): object {
  return {
    name,
    in: place,
    description,
    ...(place === "path" ? { required: true } : {}),
    ...(json === undefined ? { schema } : { content: { "application/json": { schema: json } } }),
  };
}

function bodyOf({ schema, examples, mediaTypes = ["application/json"], isOptional }: NonNullable<Operation["body"]>): object {
  const named = Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));
  return { required: isOptional !== true, content: Object.fromEntries(mediaTypes.map((type) => [type, { schema, examples: named }])) };
}

/** By status; some codes share one. */
function problemsOf(codes: readonly ErrorCode[], { hasBody, isRated }: { hasBody: boolean; isRated: boolean }): object {
  const byStatus = new Map<number, string[]>();
  const say = (status: number, what: string) => byStatus.set(status, [...(byStatus.get(status) ?? []), what]);
  for (const code of codes) say(statusOf(code).http, code);
  if (hasBody) {
    say(413, "resource_exhausted");
    say(415, "invalid_argument");
  }
  const problems = [...byStatus].map(([status, said]) => [status, {
    description: said.map((code) => `\`${code}\``).join(" or "),
    headers: headersOf({
      always: [
        REQUEST_ID_KEY,
        ...(status === 401 ? ["www-authenticate"] as const : []),
        ...(status === 429 || status === 503 ? ["retry-after"] as const : []),
        ...(isRated && BEHIND_RATES.includes(status) ? RATE : []),
      ],
      // Waiting helps against `aborted`, not against `already_exists`.
      atTimes: [...(status === 409 ? ["retry-after"] as const : []), ...(isRated && BEFORE_RATES.includes(status) ? RATE : [])],
    }),
    content: { "application/problem+json": { schema: ref("Problem") } },
  }] as const);
  return Object.fromEntries(problems);
}
