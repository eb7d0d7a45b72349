export { Logger, type LogFields, type LogSink } from "./logger.js";
export { Metrics, type MetricSpec } from "./metrics.js";
