import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { AppError, DataLossError, InvalidArgumentError, OverloadedError, UnavailableError } from "@memseal/errors";
import { fromGrpcStatus, toGrpcStatus } from "./grpc-status.js";

/** What a caller's grpc-js makes of a status. */
function received({ code, message, metadata = new Metadata() }: { code: number; message: string; metadata?: Metadata }): ServiceError {
  const error: unknown = Object.assign(new Error(message), { code, details: message, metadata });
  return error as ServiceError;
}

describe("an error between our services", () => {
  it.each([
    new InvalidArgumentError("filters.AND[0].größe %", "is not known"),
    new OverloadedError("the queue is full"),
    new UnavailableError("the database cannot be reached", { retryAfterS: 7 }),
    new DataLossError("7"),
    new AppError("aborted", "the tenant changed", { retryAfterS: 1 }),
  ])("arrives as it was thrown: %s", (thrown) => {
    const { code, message, field, retryAfterS } = fromGrpcStatus(received(toGrpcStatus(thrown)), "indexer");
    expect({ code, message, field, retryAfterS }).toEqual({ code: thrown.code, message: thrown.message, field: thrown.field, retryAfterS: thrown.retryAfterS });
  });

  it.each([
    [1, "cancelled"], [2, "internal"], [3, "invalid_argument"], [4, "deadline_exceeded"], [5, "not_found"], [7, "permission_denied"],
    [8, "resource_exhausted"], [12, "unavailable"], [13, "internal"], [14, "unavailable"], [16, "unauthenticated"],
  ])("is told in our words where status %i is not of our code", (status, code) => {
    const error = fromGrpcStatus(received({ code: status, message: "Received message larger than max, at 10.0.0.7:5432" }), "indexer");
    expect(error.code).toBe(code);
    expect(error.message).not.toMatch(/larger than max|10\.0\.0\.7/);
  });

  it.each(["%", "%E0%A4%A", "100%"])("survives the trailer %j, which nobody encoded", (field) => {
    const status = toGrpcStatus(new InvalidArgumentError("vector", "is wrong"));
    status.metadata.set("memseal-field", field);
    status.metadata.set("retry-after", "soon");
    expect(fromGrpcStatus(received(status), "indexer")).toMatchObject({ code: "invalid_argument", field: undefined, retryAfterS: undefined });
  });
});
