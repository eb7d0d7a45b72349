import { AppError } from "@memseal/errors";

/** A vector's length is not the dimension this index was made for. */
export class DimensionMismatchError extends AppError {
  constructor(expected: number, actual: number) {
    super("invalid_argument", `vector: must have ${expected} values, got ${actual}`, { field: "vector" });
  }
}

/** A filter names metadata that is not kept for filtering. Matching nothing would be a wrong answer. */
export class NotFilterableError extends AppError {
  constructor() {
    super("invalid_argument", "filters: a metadata field it names is too large in some memories to filter by", { field: "filters" });
  }
}
