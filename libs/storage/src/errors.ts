import { UnavailableError } from "@memseal/errors";
import pg from "pg";

/** SQLSTATE classes that say "not now" rather than "wrong": connection, resources, operator intervention. */
const PASSING = /^(08|53|57P)/;

/**
 * A driver's error as the product's own: unreachable or restarting is UnavailableError, anything else stays as it
 * is and reaches callers only as an internal error.
 */
export function toStorageError(error: unknown): unknown {
  if (error instanceof pg.DatabaseError && !PASSING.test(error.code ?? "")) return error;
  return new UnavailableError("the database cannot be reached; try again, nothing acknowledged is lost", { cause: error });
}
