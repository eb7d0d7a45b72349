import { setTimeout as delay } from "node:timers/promises";
import type { Server, ServerInterceptor, ServiceDefinition } from "@grpc/grpc-js";
import { StartupError } from "@memseal/errors";
import { startMetricsServer, type Logger, type Metrics, type Tracing } from "@memseal/telemetry";
import type { DynamicModule } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { Transport, type GrpcOptions, type MicroserviceOptions } from "@nestjs/microservices";
import { observeCalls } from "./call-log.js";
import { CHANNELZ_OFF } from "./channelz.js";
import { showEveryAuthorization } from "./every-authorization.js";
import { MAX_INNER_MESSAGE_BYTES, MAX_MESSAGE_BYTES } from "./limits.js";
import { requirePeerName } from "./peer-names.js";
import type { RunningService } from "./run-service.js";
import { StandardServices } from "./standard-services.js";
import { TraceInterceptor } from "./trace.interceptor.js";
import type { TransportSecurity } from "./transport-security.js";

/** How soon a service says that it has stopped, or begun, to be ready. */
const READINESS_INTERVAL_MS = 1_000;

/** How long a service that stops takes new calls at least after it told its watchers: what they sent before they heard is still answered. */
const NOTICE_MS = 250;

/** Proto package to its generated services by name. */
export type Packages = Readonly<Record<string, Readonly<Record<string, ServiceDefinition>>>>;

export interface GrpcServerSpec {
  /** `host:port` or `unix:/path`. */
  address: string;
  packages: Packages;
  standard: StandardServices;
  security: TransportSecurity;
  /** Whether callers connect to it, rather than our own services. */
  isPublic?: boolean;
  /** How long a connection is kept, its calls aside: whoever spreads calls then looks up who else is there. As long as it likes, unless set. */
  connectionAgeMs?: number | undefined;
  /** The largest request it accepts; 8 MiB, the limit for callers, unless set. */
  maxReceiveBytes?: number;
  interceptors?: readonly ServerInterceptor[];
}

/** What strangers' connections may do: a peer that answers no ping is gone, one without calls is not kept, and none holds more than this many calls. */
const PUBLIC_CONNECTIONS = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.max_connection_idle_ms": 300_000,
  "grpc.max_concurrent_streams": 1_000,
};

/** Options of a Nest gRPC server that serves generated definitions: no .proto file ships. @throws StartupError for plaintext that is not allowed */
export function grpcServer({ address, packages, standard, security, maxReceiveBytes = MAX_MESSAGE_BYTES, interceptors = [], isPublic = false, connectionAgeMs }: GrpcServerSpec): Required<Pick<GrpcOptions, "transport" | "options">> {
  const definitions = Object.entries(packages).flatMap(([name, services]) =>
    Object.entries(services).map(([service, definition]) => [`${name}.${service}`, definition]),
  );
  return {
    transport: Transport.GRPC,
    options: {
      url: address,
      credentials: security.serverCredentials(address),
      package: Object.keys(packages),
      packageDefinition: Object.fromEntries(definitions) as object,
      maxReceiveMessageLength: maxReceiveBytes,
      gracefulShutdown: true,
      // Nest passes them on to grpc-js, whose server takes more than its type of channel options says.
      channelOptions: { interceptors, ...CHANNELZ_OFF, ...(isPublic ? PUBLIC_CONNECTIONS : {}), ...(connectionAgeMs === undefined ? {} : { "grpc.max_connection_age_ms": connectionAgeMs }) },
      onLoadPackageDefinition: (_definition: unknown, server: Server) => {
        standard.addToServer(server);
        if (isPublic) showEveryAuthorization(server);
      },
    },
  };
}

/** Full names of the services in `packages`. */
export function serviceNames(packages: Packages): string[] {
  return Object.entries(packages).flatMap(([name, services]) => Object.keys(services).map((service) => `${name}.${service}`));
}

export interface GrpcServiceSpec extends Pick<GrpcServerSpec, "address" | "packages" | "security" | "connectionAgeMs"> {
  /** Of which a caller's certificate must have one, under TLS; any, unless set. */
  peerNames: readonly string[] | undefined;
  /** As in StandardServicesSpec. */
  descriptors: readonly string[];
  /** Whether what it cannot do without is there, asked each second; always, unless given. */
  isReady?: () => Promise<boolean>;
  log: Logger;
  metrics: Metrics;
  tracing?: Tracing;
  /** Where `/metrics` is served; nowhere unless set. */
  metricsAddress: string | undefined;
  /** How long it goes on answering when it is asked to stop, having said that it does not serve; 0 unless set. */
  drainMs?: number;
}

/**
 * Serves a Nest module over gRPC alone, to our own services, with health SERVING from the moment it listens while it is ready.
 * @throws StartupError for plaintext that is not allowed, and for names of callers that would show no certificate
 */
export async function startGrpcService(module: DynamicModule, spec: GrpcServiceSpec): Promise<RunningService> {
  const { address, packages, descriptors, security, peerNames, log, metrics, tracing, metricsAddress, isReady, drainMs = 0, connectionAgeMs } = spec;
  if (peerNames !== undefined && !security.isUnderTls(address)) throw new StartupError("MEMSEAL_TLS_PEER_NAMES needs the certificates that callers show: set MEMSEAL_TLS_CERT_FILE, MEMSEAL_TLS_KEY_FILE and MEMSEAL_TLS_CA_FILE");
  const standard = new StandardServices({ services: serviceNames(packages), descriptors });
  const methods = Object.values(packages).flatMap((services) => Object.values(services).flatMap((service) => Object.values(service).map(({ path }) => path.slice(1))));
  const interceptors = [observeCalls({ log, metrics, methods }), ...(peerNames === undefined ? [] : [requirePeerName(peerNames)])];
  // Nest's own logger prints what it is given; ours alone writes.
  const options: Readonly<GrpcOptions & { logger: false; abortOnError: false }> = { ...grpcServer({ address, packages, standard, security, maxReceiveBytes: MAX_INNER_MESSAGE_BYTES, interceptors, connectionAgeMs }), logger: false, abortOnError: false };
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(module, options);
  app.useGlobalInterceptors(new TraceInterceptor());
  const metricsServer = metricsAddress === undefined ? undefined : await startMetricsServer(metricsAddress, metrics, security.httpServer(metricsAddress));
  await app.listen();
  standard.setServing(true);
  const closing = new AbortController();
  const watching = isReady && watchReadiness(isReady, standard, closing.signal);
  return {
    address,
    leave() {
      closing.abort();
      const { isWatched } = standard;
      standard.end();
      return Math.max(drainMs, isWatched ? NOTICE_MS : 0);
    },
    async close() {
      closing.abort();
      standard.end();
      await watching;
      await app.close();
      await metricsServer?.close();
      await tracing?.close();
      security.close();
    },
  };
}

async function watchReadiness(isReady: () => Promise<boolean>, standard: StandardServices, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // An aborted wait is the end, not a failure.
    await delay(READINESS_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) standard.setServing(await isReady());
  }
}
