import { LIMITS } from "@memseal/contracts";

/** JSON Schema 2020-12, as OpenAPI 3.1 uses it. */
export type Schema = Readonly<Record<string, unknown>>;
export type Properties = Readonly<Record<string, Schema>>;

export interface Parameter {
  name: string;
  description: string;
  /** One of both: a value, or JSON in one. */
  schema?: Schema;
  json?: Schema;
}

/** A schema by its name in the document's components. */
export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Of a request: a field that is not named is refused. */
export function closed(properties: Properties, { required = [], ...more }: { required?: readonly string[]; [keyword: string]: unknown } = {}): Schema {
  return { type: "object", properties, ...(required.length === 0 ? {} : { required }), additionalProperties: false, ...more };
}

/** Of an answer: a later release may add fields. */
export function open(properties: Properties, optional: readonly string[] = []): Schema {
  return { type: "object", properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) };
}

/** Of 1 to `max` code points, without NUL. */
export function text(max: number, description?: string): Schema {
  return { type: "string", minLength: 1, maxLength: max, pattern: "^[^\\u0000]*$", ...(description === undefined ? {} : { description }) };
}

export function label(description: string): Schema {
  return text(LIMITS.labelCharacters, description);
}

/** Of an answer or a request: RFC 3339. */
export function time(description: string): Schema {
  return { type: "string", format: "date-time", description };
}

export function nullable({ type, ...schema }: Schema): Schema {
  return { type: [type, "null"], ...schema };
}

export function list(items: Schema, { min = 1, max, ...more }: { min?: number; max?: number; description?: string } = {}): Schema {
  return { type: "array", items, ...(min === 0 ? {} : { minItems: min }), ...(max === undefined ? {} : { maxItems: max }), ...more };
}

export function count(description: string, least = 0): Schema {
  return { type: "integer", minimum: least, description };
}
