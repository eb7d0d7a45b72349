import { AppError } from "@memseal/errors";

/**
 * A sealed value did not open. One class and one message for every reason (wrong key, tenant, row, field,
 * version or byte), so that nobody can probe which part was wrong.
 */
export class OpenError extends AppError {
  constructor() {
    super("data_loss", "sealed value does not open");
  }
}

/** A tenant's keys were rotated or destroyed since the caller read what it wanted them for: whoever tries again finds how things are now. */
export class KeysChangedError extends AppError {
  constructor() {
    super("aborted", "this user's keys were changed or destroyed during the call; try again");
  }
}
