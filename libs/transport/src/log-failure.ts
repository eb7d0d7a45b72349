import type { AppError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";

/** Logs an error whose cause an operator must learn, since its caller does not: our faults, and parts that are away. */
export function logFailure(log: Logger, error: AppError, requestId: string | undefined): void {
  const fields = { code: error.code, ...(requestId === undefined ? {} : { requestId }), error };
  switch (error.code) {
    case "internal":
    case "data_loss":
      log.error("request failed", fields);
      break;
    case "unavailable":
      log.warn("request failed", fields);
      break;
    // The caller's own, and overload and deadlines, which the metrics count.
    default:
  }
}
