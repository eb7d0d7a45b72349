import { AppError } from "@memseal/errors";

/** A vector's length is not the dimension this index was made for. */
export class DimensionMismatchError extends AppError {
  constructor(expected: number, actual: number) {
    super("invalid_argument", `vector: must have ${expected} values, got ${actual}`, { field: "vector" });
  }
}
