import { AppError } from "@memseal/errors";

/** @throws AppError failed_precondition for a memory of another version than its caller has read, where one was named */
export function requireVersion(rowVersion: number, ifMatch: number | undefined): void {
  if (ifMatch !== undefined && rowVersion !== ifMatch) {
    throw new AppError("failed_precondition", `the memory has version ${rowVersion} by now: read it and decide again`);
  }
}
