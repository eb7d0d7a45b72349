export { parseConfig, port, track } from "./parse-config.js";
