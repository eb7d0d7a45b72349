import "reflect-metadata";
import { parseConfig } from "@memseal/config";
import { FILE_DESCRIPTORS, MEMORY_PACKAGE } from "@memseal/contracts";
import { Logger, Tracing } from "@memseal/telemetry";
import { cutOffUnlessSent, GrpcErrorFilter, grpcServer, HttpErrorFilter, runService, serviceNames, StandardServices, TraceInterceptor, TransportSecurity } from "@memseal/transport";
import type { NestApplicationOptions } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { MicroserviceOptions } from "@nestjs/microservices";
import type { NestFastifyApplication } from "@nestjs/platform-fastify";
import { gatewayConfig } from "./config.js";
import { corsFor } from "./cors.js";
import { Drain } from "./drain.js";
import { GatewayMetrics } from "./gateway-metrics.js";
import { GatewayModule } from "./gateway.module.js";
import { createHttpServer, prepareHttpServer } from "./http-server.js";
import { memoryService } from "./memories.grpc.js";

const log = new Logger("gateway");

await runService(log, async () => {
  const config = parseConfig(gatewayConfig, process.env);
  const http = config.MEMSEAL_HTTP_ADDRESS;
  const grpcAddress = config.MEMSEAL_GRPC_ADDRESS;
  const httpErrors = new HttpErrorFilter(log);
  const tracing = Tracing.start({ service: "gateway", track: config.MEMSEAL_TRACK, url: config.MEMSEAL_OTLP_URL, share: config.MEMSEAL_TRACE_SHARE, log });
  const services = TransportSecurity.openPrivate(config, log);
  const callers = TransportSecurity.open({
    cert: config.MEMSEAL_PUBLIC_TLS_CERT_FILE,
    key: config.MEMSEAL_PUBLIC_TLS_KEY_FILE,
    isMutual: false,
    variables: ["MEMSEAL_PUBLIC_TLS_CERT_FILE", "MEMSEAL_PUBLIC_TLS_KEY_FILE"],
    allowPlaintext: config.MEMSEAL_ALLOW_PLAINTEXT,
  }, log);
  const adapter = createHttpServer(httpErrors, { receiveTimeoutMs: config.MEMSEAL_HTTP_RECEIVE_TIMEOUT_MS, https: callers.httpsOptions(http.address) });
  const options: Readonly<NestApplicationOptions> = { logger: false, abortOnError: false, bodyParser: false };
  const app = await NestFactory.create<NestFastifyApplication>(GatewayModule.create(config, services, log), adapter, options);
  app.useGlobalFilters(httpErrors);
  const traces = new TraceInterceptor();
  app.useGlobalInterceptors(traces);
  callers.keepCurrent(adapter.getHttpServer());
  if (config.MEMSEAL_CORS_ORIGINS !== undefined) app.enableCors(corsFor(config.MEMSEAL_CORS_ORIGINS));
  const drain = app.get(Drain);
  prepareHttpServer(adapter, app.get(GatewayMetrics), drain);

  const packages = { [MEMORY_PACKAGE]: { MemoryService: memoryService } };
  const standard = new StandardServices({ services: serviceNames(packages), descriptors: FILE_DESCRIPTORS });
  // Deferred: Nest would bind the handlers at once, without the filter.
  app
    .connectMicroservice<MicroserviceOptions>(grpcServer({ address: grpcAddress, packages, standard, security: callers, isPublic: true, interceptors: [cutOffUnlessSent(config.MEMSEAL_HTTP_RECEIVE_TIMEOUT_MS)] }), { deferInitialization: true })
    .useGlobalFilters(new GrpcErrorFilter(log))
    .useGlobalInterceptors(traces);
  await app.startAllMicroservices();
  await app.listen(http.port, http.host);
  standard.setServing(true);
  return {
    address: `http ${http.address}, grpc ${grpcAddress}`,
    leave: () => {
      drain.begin();
      standard.setServing(false);
      return config.MEMSEAL_DRAIN_MS;
    },
    close: async () => {
      standard.end();
      callers.close();
      await app.close();
      await tracing.close();
    },
  };
});
