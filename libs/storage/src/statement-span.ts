import { SpanKind, type SpanSpec } from "@memseal/telemetry";

/** By its first word: the rest of a statement is nobody's concern, and that which begins a transaction names the tenant. */
export function spanOf(sql: string): SpanSpec {
  const operation = /^\s*(\w+)/.exec(sql)?.[1]?.toUpperCase() ?? "";
  return { name: operation, kind: SpanKind.CLIENT, attributes: { "db.system.name": "postgresql", "db.operation.name": operation } };
}
