import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, type ClientDuplexStream, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { Logger, Metrics } from "@memseal/telemetry";
import { Module } from "@nestjs/common";
import { service as healthService } from "grpc-health-check";
import { startGrpcService, type GrpcServiceSpec } from "./grpc-server.js";
import { TransportSecurity } from "./transport-security.js";

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
const NAME = "memseal.test.v1.TestService";
/** FileDescriptorProto: name, package, a message and the service with its method, field by field. */
const bytes = (field: number, content: string | Buffer) => Buffer.concat([Buffer.of((field << 3) | 2, Buffer.byteLength(content)), Buffer.from(content)]);
const METHOD = Buffer.concat([bytes(1, "Ping"), bytes(2, ".memseal.test.v1.Nothing"), bytes(3, ".memseal.test.v1.Nothing")]);
const FILE = Buffer.concat([bytes(1, "test.proto"), bytes(2, "memseal.test.v1"), bytes(4, bytes(1, "Nothing")), bytes(6, Buffer.concat([bytes(1, "TestService"), bytes(2, METHOD)]))]);
const { Watch: watch } = healthService as unknown as ServiceDefinition;
const reflection = loadSync(createRequire(import.meta.url).resolve("@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto"))["grpc.reflection.v1.ServerReflection"] as ServiceDefinition;

interface ReflectionAnswer {
  listServicesResponse?: { service: { name: string }[] };
  fileDescriptorResponse?: { fileDescriptorProto: Buffer[] };
  errorResponse?: { errorCode: number };
}

describe("a gRPC service", () => {
  let dir: string;
  let address: string;
  let client: Client;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "memseal-grpc-"));
    address = `unix:${join(dir, "test.sock")}`;
    client = new Client(address, credentials.createInsecure(), { "grpc.default_authority": "localhost" });
  });
  afterEach(() => {
    client.close();
    rmSync(dir, { recursive: true });
  });

  const start = (more: Partial<GrpcServiceSpec> = {}) => startGrpcService({ module: EmptyModule }, {
    address, packages: { "memseal.test.v1": { TestService } }, descriptors: [FILE.toString("base64")],
    security: TransportSecurity.LOOPBACK, peerNames: undefined,
    log: new Logger("test", () => undefined), metrics: new Metrics("stable"), metricsAddress: undefined, ...more,
  });

  /** What a watcher of its health is told, and when that ends. */
  function watchHealth() {
    const statuses: unknown[] = [];
    const stream = client.makeServerStreamRequest(watch.path, watch.requestSerialize, watch.responseDeserialize, { service: NAME });
    stream.on("data", ({ status }: { status: unknown }) => statuses.push(status));
    const ended = new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject));
    const told = async (count: number) => { while (statuses.length < count) await new Promise((resolve) => setTimeout(resolve, 20)); };
    return { statuses, ended, told };
  }

  it("stops while somebody watches its health, and tells them that it no longer serves", async () => {
    const service = await start();
    const { statuses, ended, told } = watchHealth();
    await told(1);
    await service.close();
    await ended;
    expect(statuses).toEqual(["SERVING", "NOT_SERVING"]);
  });

  it("says before it stops that it does not serve, and answers as long as it was told to, or as watchers need to hear it", async () => {
    const service = await start({ drainMs: 5_000 });
    expect(service.leave?.()).toBe(5_000);
    const { statuses, ended, told } = watchHealth();
    await told(1);
    await service.close();
    await ended;
    expect(statuses).toEqual(["NOT_SERVING"]);
  });

  it("gives its watchers a moment to hear it", async () => {
    const service = await start();
    const { ended, told } = watchHealth();
    await told(1);
    expect(service.leave?.()).toBe(250);
    await service.close();
    await ended;
  });

  it("says that it does not serve while what it needs is away", async () => {
    let isReady = true;
    const service = await start({ isReady: () => Promise.resolve(isReady) });
    const { statuses, ended, told } = watchHealth();
    await told(1);
    isReady = false;
    await told(2);
    isReady = true;
    await told(3);
    await service.close();
    await ended;
    expect(statuses).toEqual(["SERVING", "NOT_SERVING", "SERVING", "NOT_SERVING"]);
  });

  it("tells a client what it serves, by reflection, and stops while one keeps asking", async () => {
    const service = await start();
    const { path, requestSerialize, responseDeserialize } = reflection["ServerReflectionInfo"];
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize) as ClientDuplexStream<object, ReflectionAnswer>;
    const answers: ReflectionAnswer[] = [];
    stream.on("data", (answer: ReflectionAnswer) => answers.push(answer));
    const ended = new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject));
    stream.write({ listServices: "" });
    stream.write({ fileContainingSymbol: `${NAME}.Ping` });
    stream.write({ fileContainingSymbol: "memseal.test.v1.Unknown" });
    while (answers.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    await service.close();
    await ended;
    const [listed, file, unknown] = answers;
    expect(listed.listServicesResponse?.service).toEqual([{ name: NAME }]);
    expect(Buffer.concat(file.fileDescriptorResponse!.fileDescriptorProto).includes("TestService")).toBe(true);
    expect(unknown.errorResponse?.errorCode).toBe(5);
  });
});
