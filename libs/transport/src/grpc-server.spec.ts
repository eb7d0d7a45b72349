import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, type ServiceDefinition } from "@grpc/grpc-js";
import { Logger, Metrics } from "@memseal/telemetry";
import { Module } from "@nestjs/common";
import { service as healthService } from "grpc-health-check";
import { startGrpcService } from "./grpc-server.js";

@Module({})
class EmptyModule {}

/** A service must have a method. */
const TestService: ServiceDefinition = {
  ping: {
    path: "/memseal.test.v1.TestService/Ping",
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: () => ({}),
    responseSerialize: () => Buffer.alloc(0),
    responseDeserialize: () => ({}),
  },
};
const { Watch: watch } = healthService as unknown as ServiceDefinition;

describe("a gRPC service", () => {
  let dir: string;
  beforeEach(() => { dir = mkdtempSync(join(tmpdir(), "memseal-grpc-")); });
  afterEach(() => { rmSync(dir, { recursive: true }); });

  it("stops while somebody watches its health, and tells them that it no longer serves", async () => {
    const address = `unix:${join(dir, "test.sock")}`;
    const service = await startGrpcService({ module: EmptyModule }, { address, packages: { "memseal.test.v1": { TestService } }, log: new Logger("test", () => undefined), metrics: new Metrics("stable"), metricsAddress: undefined });
    const client = new Client(address, credentials.createInsecure(), { "grpc.default_authority": "localhost" });
    const statuses: unknown[] = [];
    const stream = client.makeServerStreamRequest(watch.path, watch.requestSerialize, watch.responseDeserialize, { service: "memseal.test.v1.TestService" });
    const ended = new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject));
    await new Promise((resolve) => stream.once("data", resolve).on("data", ({ status }: { status: unknown }) => statuses.push(status)));
    await service.close();
    await ended;
    expect(statuses).toEqual(["SERVING", "NOT_SERVING"]);
    client.close();
  });
});
