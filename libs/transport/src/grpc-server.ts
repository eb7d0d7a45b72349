import type { ServiceDefinition, Server } from "@grpc/grpc-js";
import type { DynamicModule } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { Transport, type GrpcOptions, type MicroserviceOptions } from "@nestjs/microservices";
import { HealthImplementation } from "grpc-health-check";
import { MAX_MESSAGE_BYTES } from "./limits.js";
import type { RunningService } from "./run-service.js";

export interface GrpcServerSpec {
  /** `host:port` or `unix:/path`. */
  address: string;
  /** Proto package to its generated services by name. */
  packages: Readonly<Record<string, Readonly<Record<string, ServiceDefinition>>>>;
  health: HealthImplementation;
}

/** Options of a Nest gRPC server that serves generated definitions: no .proto file ships. */
export function grpcServer({ address, packages, health }: GrpcServerSpec): Required<Pick<GrpcOptions, "transport" | "options">> {
  const definitions = Object.entries(packages).flatMap(([name, services]) =>
    Object.entries(services).map(([service, definition]) => [`${name}.${service}`, definition]),
  );
  return {
    transport: Transport.GRPC,
    options: {
      url: address,
      package: Object.keys(packages),
      packageDefinition: Object.fromEntries(definitions) as object,
      maxReceiveMessageLength: MAX_MESSAGE_BYTES,
      gracefulShutdown: true,
      onLoadPackageDefinition: (_definition: unknown, server: Server) => {
        health.addToServer(server);
      },
    },
  };
}

/** Serves a Nest module over gRPC alone, with health SERVING from the moment it listens. */
export async function startGrpcService(module: DynamicModule, { address, packages }: Omit<GrpcServerSpec, "health">): Promise<RunningService> {
  const names = Object.entries(packages).flatMap(([name, services]) => Object.keys(services).map((service) => `${name}.${service}`));
  const health = healthOf(names);
  // Nest's own logger prints what it is given; ours alone writes.
  const options: Readonly<GrpcOptions & { logger: false; abortOnError: false }> = { ...grpcServer({ address, packages, health }), logger: false, abortOnError: false };
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(module, options);
  await app.listen();
  for (const name of ["", ...names]) health.setStatus(name, "SERVING");
  return { address, close: () => app.close() };
}

/** Standard gRPC health (grpc.health.v1) for the services of one process: NOT_SERVING until told otherwise. */
export function healthOf(services: readonly string[]): HealthImplementation {
  return new HealthImplementation(Object.fromEntries(["", ...services].map((name) => [name, "NOT_SERVING"])));
}
