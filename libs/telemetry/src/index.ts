export { crossTenantCounters, type CrossTenantCounters } from "./cross-tenant.js";
export { Logger, type LogSink } from "./logger.js";
export { METRICS_CONTENT_TYPE, startMetricsServer, type MetricsServer } from "./metrics-server.js";
export { CODES, Metrics, type Code } from "./metrics.js";
export { currentTraceparent, endSpan, inSpan, runWithin, SpanKind, startServerSpan, TRACEPARENT_KEY, Tracing, type SpanAttributes, type SpanSpec } from "./tracing.js";
