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
