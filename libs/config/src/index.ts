export { isLoopback, parseHostAndPort, type HostAndPort } from "./address.js";
export { listenAddress, listenAddresses, parseConfig, port, telemetryVariables } from "./parse-config.js";
export { isKeptSecret, type FileOwnership } from "./secret-mode.js";
export { privateServiceVariables, transportVariables } from "./transport-variables.js";
