import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const STANDALONE = fileURLToPath(new URL("../../standalone/dist/main.js", import.meta.url));

/**
 * `memseal start`: everything on this machine, as `npm start`. Its output and exit code are those of the process it becomes
 * the parent of, which ends when this one does, however that ends.
 */
export function start(): Promise<number> {
  const child = spawn(process.execPath, [STANDALONE], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  // From a terminal both get Ctrl-C; twice at once is once.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => { child.kill(signal); });
  return new Promise((resolve) => child.once("exit", (code) => { resolve(code ?? 1); }));
}
