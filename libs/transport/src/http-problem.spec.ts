import { AppError, DataLossError, DeadlineExceededError, InvalidArgumentError, NotFoundError, OverloadedError, OverQuotaError, RateLimitedError, UnauthenticatedError, UnavailableError } from "@memseal/errors";
import { toGrpcStatus } from "./grpc-status.js";
import { connectionFaultOf, httpFaultOf, problemHeaders, problemOf } from "./http-problem.js";

const ofFramework = (statusCode: number) => Object.assign(new Error("Cannot GET /v1/secrets?text=mine"), { statusCode });
const ofNest = (status: number) => Object.assign(new Error("Cannot GET /v1/secrets?text=mine"), { getStatus: () => status });

describe("an HTTP problem", () => {
  it("says what to change, where, and in which request", () => {
    expect(problemOf(httpFaultOf(new InvalidArgumentError("memories[3].text", "must not be empty")), "r-1")).toEqual({
      type: "urn:memseal:problem:invalid_argument",
      title: "Bad request",
      status: 400,
      detail: "memories[3].text: must not be empty",
      code: "invalid_argument",
      field: "memories[3].text",
      request_id: "r-1",
    });
  });

  it("has no field where none is at fault", () => {
    expect(problemOf(httpFaultOf(new NotFoundError("memory")), "r-1")).not.toHaveProperty("field");
  });

  it.each([
    [400, 400, "invalid_argument"],
    [414, 400, "invalid_argument"],
    [404, 404, "not_found"],
    [413, 413, "resource_exhausted"],
    [415, 415, "invalid_argument"],
    [500, 500, "internal"],
    [undefined, 500, "internal"],
  ])("answers a framework's %p with %i %s and none of its words", (given, status, code) => {
    for (const thrown of given === undefined ? [new Error("mine"), "mine", undefined, null] : [ofFramework(given), ofNest(given)]) {
      const problem = problemOf(httpFaultOf(thrown), "r-1");
      expect(problem).toMatchObject({ status, code });
      expect(JSON.stringify(problem)).not.toContain("mine");
    }
  });

  it.each([
    ["ERR_HTTP_REQUEST_TIMEOUT", 408, "deadline_exceeded"],
    ["HPE_HEADER_OVERFLOW", 431, "invalid_argument"],
    ["HPE_INVALID_METHOD", 400, "invalid_argument"],
    [undefined, 400, "invalid_argument"],
  ])("answers a connection without a request (%s) with %i %s", (given, status, code) => {
    expect(problemOf(connectionFaultOf(given), "r-1")).toMatchObject({ status, code });
  });

  it("keeps the status of our own error even where it has a status code of another meaning", () => {
    expect(httpFaultOf(Object.assign(new NotFoundError("memory"), { statusCode: 500 })).status).toBe(404);
  });

  it.each<[string, AppError | Error, Record<string, string>]>([
    ["when to try again after 503", new UnavailableError("database away"), { "retry-after": "1" }],
    ["the delay a service asked for", new UnavailableError("database away", { retryAfterS: 7 }), { "retry-after": "7" }],
    ["when to try again after 429", new OverloadedError("queue full"), { "retry-after": "1" }],
    ["when to try again after 429, even unasked", new AppError("resource_exhausted", "too many"), { "retry-after": "1" }],
    ["the delay of a conflict that passes", new AppError("aborted", "in flight", { retryAfterS: 2 }), { "retry-after": "2" }],
    ["when to try again after a conflict that passes, even unasked", new AppError("aborted", "in flight"), { "retry-after": "1" }],
    ["nothing after a conflict that stays", new AppError("already_exists", "another body"), {}],
    ["how to log in after 401", new UnauthenticatedError(), { "www-authenticate": "Bearer" }],
    ["nothing after 404", new NotFoundError("memory"), {}],
    ["nothing after 413: trying again cannot help", ofFramework(413), {}],
  ])("has headers that say %s", (_, error, headers) => {
    expect(problemHeaders(httpFaultOf(error))).toEqual(headers);
  });

  it.each([
    new OverloadedError("full"), new OverQuotaError("full"), new RateLimitedError("too many", 2.5), new AppError("resource_exhausted", "too many"), new UnavailableError("away"),
    new UnavailableError("away", { retryAfterS: 7 }), new AppError("aborted", "in flight"), new AppError("already_exists", "another"), new DeadlineExceededError(), new DataLossError("7"),
    new NotFoundError("memory"), new InvalidArgumentError("text", "must not be empty"),
  ])("names the same time to come back as a gRPC status does: %s", (error) => {
    expect(toGrpcStatus(error).metadata.get("retry-after")).toEqual(Object.values(problemHeaders(httpFaultOf(error))));
  });
});
