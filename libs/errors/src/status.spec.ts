import { AppError, type ErrorCode } from "./app-error.js";
import { codeOfGrpcStatus, statusOf, toAppError } from "./status.js";

const TABLE: [ErrorCode, number, number][] = [
  ["invalid_argument", 400, 3],
  ["unauthenticated", 401, 16],
  ["permission_denied", 403, 7],
  ["not_found", 404, 5],
  ["already_exists", 409, 6],
  ["aborted", 409, 10],
  ["failed_precondition", 412, 9],
  ["resource_exhausted", 429, 8],
  ["unavailable", 503, 14],
  ["deadline_exceeded", 504, 4],
  ["data_loss", 500, 15],
  ["internal", 500, 13],
  ["unimplemented", 501, 12],
];

describe("status", () => {
  it.each(TABLE)("answers %s with HTTP %i and gRPC %i", (code, http, grpc) => {
    expect(statusOf(code)).toMatchObject({ http, grpc });
    expect(codeOfGrpcStatus(grpc)).toBe(code);
  });

  it("reads an unknown gRPC status as internal", () => {
    expect(codeOfGrpcStatus(11)).toBe("internal");
  });

  it("tells a caller nothing about an error it does not know", () => {
    const shown = toAppError(new Error("password=hunter2"));
    expect(shown).toBeInstanceOf(AppError);
    expect(shown.code).toBe("internal");
    expect(shown.message).not.toContain("hunter2");
  });
});
