import { Metadata } from "@grpc/grpc-js";
import { DataLossError, InvalidArgumentError, OverloadedError, UnavailableError } from "@memseal/errors";
import { Logger } from "@memseal/telemetry";
import type { ArgumentsHost } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { GrpcErrorFilter } from "./grpc-error.filter.js";
import { HttpErrorFilter } from "./http-error.filter.js";

const REQUEST_ID = "r-1";

function throughGrpc(log: Logger, thrown: unknown): void {
  const metadata = new Metadata();
  metadata.set("x-request-id", REQUEST_ID);
  new GrpcErrorFilter(log).catch(thrown, { switchToRpc: () => ({ getContext: () => metadata }) } as unknown as ArgumentsHost);
}

function throughHttp(log: Logger, thrown: unknown): void {
  const reply = { code: () => reply, headers: () => reply, type: () => reply, send: () => reply };
  new HttpErrorFilter(log).answer(thrown, { id: REQUEST_ID } as FastifyRequest, reply as unknown as FastifyReply);
}

describe.each([["gRPC", throughGrpc], ["HTTP", throughHttp]])("an error answered over %s", (_transport, answer) => {
  const logged = (thrown: unknown) => {
    const lines: string[] = [];
    answer(new Logger("test", (line) => lines.push(line)), thrown);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const refused = Object.assign(new Error("connect ECONNREFUSED postgres://app:hunter2@10.0.0.7"), { code: "ECONNREFUSED" });

  it("warns of a part that is away, with the code of the cause and none of its words", () => {
    const lines = logged(new UnavailableError("the database cannot be reached", { cause: refused }));
    expect(lines).toMatchObject([{ level: "warn", code: "unavailable", requestId: REQUEST_ID, error: { cause: { code: "ECONNREFUSED" } } }]);
    expect(JSON.stringify(lines)).not.toContain("hunter2");
  });

  it.each([["internal", refused], ["data_loss", new DataLossError("7")]])("is an error in the log where it is ours: %s", (code, thrown) => {
    expect(logged(thrown)).toMatchObject([{ level: "error", code, requestId: REQUEST_ID }]);
  });

  it.each([new InvalidArgumentError("text", "must not be empty"), new OverloadedError("full")])("is not in the log where the caller knows all of it: %s", (thrown) => {
    expect(logged(thrown)).toEqual([]);
  });
});
