import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { Answer } from "./gateway.js";

interface DescribedResponse {
  content: Record<string, { schema: object }>;
  headers: Record<string, { schema: object; required: boolean }>;
}

interface Operation {
  operationId: string;
  responses: Record<string, DescribedResponse>;
}

export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { properties?: object; additionalProperties?: unknown }> };
}

const EVENTS = { $ref: "#/components/schemas/SearchEvents" };

/** Holds answers to what the OpenAPI document says of their operation. */
export class DescribedAnswers {
  readonly #operations: ReadonlyMap<string, Operation>;
  readonly #ajv = new Ajv2020({ strict: false });
  readonly #validators = new Map<string, ValidateFunction>();
  /** Every header that is described of any answer. */
  readonly #headers: ReadonlySet<string>;

  constructor({ paths, components }: OpenApi) {
    this.#operations = new Map(Object.values(paths).flatMap((path) => Object.values(path)).map((operation) => [operation.operationId, operation]));
    this.#headers = new Set([...this.#operations.values()].flatMap(({ responses }) => Object.values(responses)).flatMap((response) => Object.keys(response.headers)));
    addFormats.default(this.#ajv);
    // To callers an answer may have more in a later release; of this one, all of it must be described.
    const schemas = Object.entries(components.schemas).map(([name, schema]) => [name, schema.properties && !("additionalProperties" in schema) ? { ...schema, additionalProperties: false } : schema]);
    this.#ajv.addSchema({ $id: "openapi", components: { schemas: Object.fromEntries(schemas) as object } });
  }

  /** @throws Error for an answer that is not as the document says, without repeating it */
  check(operationId: string, { code, status, body, headers }: Answer): void {
    const { responses } = this.#operations.get(operationId) ?? fail(`${operationId} is not in the document`);
    // gRPC has the same messages and no status.
    const [success] = Object.keys(responses);
    const answered = String(status ?? (code === "ok" ? success : undefined));
    if (answered === "undefined") return;
    const described = responses[answered] ?? fail(`${operationId} answered ${answered}, which is not in the document`);
    if (headers !== undefined) this.#checkHeaders(`${operationId} ${answered}`, described.headers, headers);
    const { content } = described;
    const isStream = code === "ok" && "text/event-stream" in content;
    const { schema } = content[code !== "ok" ? "application/problem+json" : isStream ? "text/event-stream" : "application/json"] ?? fail(`${operationId} ${answered} has no such content`);
    const validate = isStream ? this.#validator("events", EVENTS) : this.#validator(`${operationId} ${answered}`, schema);
    // A stream is held to it event by event: its data by its name.
    const parts = isStream ? (body["events"] as { event: string; data: unknown }[]).map(({ event, data }) => ({ [event]: data })) : [body];
    for (const part of parts) {
      if (!validate(part)) fail(`${operationId} answered ${answered} otherwise than the document says: ${this.#ajv.errorsText(validate.errors)}`);
    }
  }

  #checkHeaders(name: string, described: DescribedResponse["headers"], headers: NonNullable<Answer["headers"]>): void {
    for (const header of this.#headers) {
      const value = headers[header];
      const said = Object.hasOwn(described, header) ? described[header] : undefined;
      if (value === undefined) {
        if (said?.required) fail(`${name} lacks the header ${header}`);
        continue;
      }
      const { schema } = said ?? fail(`${name} has the header ${header}, which is not described of it`);
      if (!this.#validator(`${name} ${header}`, schema)(value)) fail(`${name} has another ${header} than the document says`);
    }
  }

  #validator(name: string, schema: object): ValidateFunction {
    const known = this.#validators.get(name);
    if (known !== undefined) return known;
    const validate = this.#ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')) as object);
    this.#validators.set(name, validate);
    return validate;
  }
}

function fail(why: string): never {
  throw new Error(why);
}
