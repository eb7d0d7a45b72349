import { randomUUID } from "node:crypto";

const FORM = /^[A-Za-z0-9._-]{1,64}$/;

/** The caller's id of a request where it is a plain short name, otherwise a new one: an id goes into logs and headers. */
export function requestIdFrom(given: unknown): string {
  return typeof given === "string" && FORM.test(given) ? given : randomUUID();
}
