import { DeadlineExceededError, OverloadedError, UnavailableError } from "@memseal/errors";
import pg from "pg";

/** A row of another tenant came back: row security has failed, and nothing of the row was used. No caller is told more than "internal error". */
export class ForeignRowError extends Error {
  constructor() {
    super("a row of another tenant came back: row security has failed");
    this.name = new.target.name;
  }
}

/** SQLSTATE classes that say "not now" rather than "wrong": connection, resources, operator intervention. */
const PASSING = /^(08|53|57P)/;

const AUTHORIZATION = /^28/;
/** Also what a statement timeout gives. */
const QUERY_CANCELED = "57014";

/**
 * A driver's error as the product's own: unreachable or restarting is UnavailableError, anything else stays as it
 * is and reaches callers only as an internal error.
 */
export function toStorageError(error: unknown): unknown {
  // A mistake of ours is no fault of the database.
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return error;
  if (error instanceof pg.DatabaseError) {
    if (error.code === QUERY_CANCELED) return new DeadlineExceededError();
    if (AUTHORIZATION.test(error.code ?? "")) return new UnavailableError("the database refuses this role: check its URL", { cause: error });
    if (!PASSING.test(error.code ?? "")) return error;
  }
  // pg-pool's own words, which come without a code.
  if (error instanceof Error && error.message.startsWith("timeout exceeded when trying to connect")) {
    return new OverloadedError("every database connection is busy; try again");
  }
  return new UnavailableError("the database cannot be reached; try again, nothing acknowledged is lost", { cause: error });
}
