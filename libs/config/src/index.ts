export { listenAddress, parseConfig, port, track } from "./parse-config.js";
