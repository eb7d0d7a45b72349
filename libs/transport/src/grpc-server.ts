import type { ServerInterceptor, ServerWritableStream, ServiceDefinition, Server, UntypedServiceImplementation } from "@grpc/grpc-js";
import { startMetricsServer, type Logger, type Metrics } from "@memseal/telemetry";
import type { DynamicModule } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { Transport, type GrpcOptions, type MicroserviceOptions } from "@nestjs/microservices";
import { HealthImplementation } from "grpc-health-check";
import { observeCalls } from "./call-log.js";
import { MAX_INNER_MESSAGE_BYTES, MAX_MESSAGE_BYTES } from "./limits.js";
import type { RunningService } from "./run-service.js";

export interface GrpcServerSpec {
  /** `host:port` or `unix:/path`. */
  address: string;
  /** Proto package to its generated services by name. */
  packages: Readonly<Record<string, Readonly<Record<string, ServiceDefinition>>>>;
  health: Health;
  /** The largest request it accepts; 8 MiB, the limit for callers, unless set. */
  maxReceiveBytes?: number;
  interceptors?: readonly ServerInterceptor[];
}

/** Options of a Nest gRPC server that serves generated definitions: no .proto file ships. */
export function grpcServer({ address, packages, health, maxReceiveBytes = MAX_MESSAGE_BYTES, interceptors = [] }: GrpcServerSpec): Required<Pick<GrpcOptions, "transport" | "options">> {
  const definitions = Object.entries(packages).flatMap(([name, services]) =>
    Object.entries(services).map(([service, definition]) => [`${name}.${service}`, definition]),
  );
  return {
    transport: Transport.GRPC,
    options: {
      url: address,
      package: Object.keys(packages),
      packageDefinition: Object.fromEntries(definitions) as object,
      maxReceiveMessageLength: maxReceiveBytes,
      gracefulShutdown: true,
      // Nest passes them on to grpc-js, whose server takes more than its type of channel options says.
      channelOptions: { interceptors },
      onLoadPackageDefinition: (_definition: unknown, server: Server) => {
        health.addToServer(server);
      },
    },
  };
}

export interface GrpcServiceSpec extends Pick<GrpcServerSpec, "address" | "packages"> {
  log: Logger;
  metrics: Metrics;
  /** Where `/metrics` is served; nowhere unless set. */
  metricsAddress: string | undefined;
}

/** Serves a Nest module over gRPC alone, to our own services, with health SERVING from the moment it listens. */
export async function startGrpcService(module: DynamicModule, { address, packages, log, metrics, metricsAddress }: GrpcServiceSpec): Promise<RunningService> {
  const names = Object.entries(packages).flatMap(([name, services]) => Object.keys(services).map((service) => `${name}.${service}`));
  const health = healthOf(names);
  const methods = Object.entries(packages).flatMap(([, services]) => Object.values(services).flatMap((service) => Object.values(service).map(({ path }) => path.slice(1))));
  const interceptors = [observeCalls({ log, metrics, methods })];
  // Nest's own logger prints what it is given; ours alone writes.
  const options: Readonly<GrpcOptions & { logger: false; abortOnError: false }> = { ...grpcServer({ address, packages, health, maxReceiveBytes: MAX_INNER_MESSAGE_BYTES, interceptors }), logger: false, abortOnError: false };
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(module, options);
  const metricsServer = metricsAddress === undefined ? undefined : await startMetricsServer(metricsAddress, metrics);
  await app.listen();
  for (const name of ["", ...names]) health.setStatus(name, "SERVING");
  return {
    address,
    async close() {
      health.end();
      await app.close();
      await metricsServer?.close();
    },
  };
}

/** Standard gRPC health (grpc.health.v1) for the services of one process: NOT_SERVING until told otherwise. */
export function healthOf(services: readonly string[]): Health {
  return new Health(services);
}

/** Health whose Watch streams can be ended: a graceful shutdown waits for every open stream. */
export class Health extends HealthImplementation {
  readonly #watching = new Set<ServerWritableStream<unknown, unknown>>();
  #ended = false;

  constructor(private readonly services: readonly string[]) {
    super(Object.fromEntries(["", ...services].map((name) => [name, "NOT_SERVING"])));
  }

  override addToServer(server: Server): void {
    super.addToServer({
      addService: (service: ServiceDefinition, methods: UntypedServiceImplementation) => {
        server.addService(service, { ...methods, watch: (call: ServerWritableStream<unknown, unknown>) => { this.#watch(call, methods); } });
      },
    });
  }

  /** Tells every watcher NOT_SERVING and ends its stream, for good. */
  end(): void {
    for (const name of ["", ...this.services]) this.setStatus(name, "NOT_SERVING");
    this.#ended = true;
    for (const call of this.#watching) call.end();
  }

  #watch(call: ServerWritableStream<unknown, unknown>, { watch }: UntypedServiceImplementation): void {
    this.#watching.add(call);
    call.once("cancelled", () => this.#watching.delete(call));
    (watch as (call: ServerWritableStream<unknown, unknown>) => void)(call);
    if (this.#ended) call.end();
  }
}
