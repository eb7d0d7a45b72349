import type { ServiceDefinition, Server } from "@grpc/grpc-js";
import { Transport, type GrpcOptions } from "@nestjs/microservices";
import { HealthImplementation } from "grpc-health-check";
import { MAX_MESSAGE_BYTES } from "./limits.js";

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

/** Standard gRPC health (grpc.health.v1) for the services of one process: NOT_SERVING until told otherwise. */
export function healthOf(services: readonly string[]): HealthImplementation {
  return new HealthImplementation(Object.fromEntries(["", ...services].map((name) => [name, "NOT_SERVING"])));
}
