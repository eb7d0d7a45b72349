import { execFile, spawn } from "node:child_process";
import { createServer, type AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const builtMain = (app: string) => fileURLToPath(new URL(`../../../apps/${app}/dist/main.js`, import.meta.url));

/** A little longer than a Memseal gives itself. */
const STOP_WITHIN_MS = 80_000;

/** A whole Memseal with its state in one directory, as `npm start` runs it. */
export interface MemsealProcess {
  /** `http://host:port`. */
  url: string;
  createKey(user: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startMemseal(home: string): Promise<MemsealProcess> {
  const [http, grpc] = await Promise.all([freeAddress(), freeAddress()]);
  const env = { ...process.env, MEMSEAL_HOME: home, MEMSEAL_HTTP_ADDRESS: http, MEMSEAL_GRPC_ADDRESS: grpc };
  const child = spawn(process.execPath, [builtMain("standalone")], { env, stdio: ["ignore", "ignore", "pipe", "ipc"] });
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  const lines: string[] = [];
  await new Promise<void>((resolve, reject) => {
    if (child.stderr) {
      createInterface({ input: child.stderr }).on("line", (line) => {
        lines.push(line);
        if (line.includes('"service":"standalone","event":"ready"')) resolve();
      });
    }
    void exited.then((code) => { reject(new Error(`Memseal ended with exit code ${code}:\n${lines.join("\n")}`)); });
  });
  return {
    url: `http://${http}`,
    async createKey(user) {
      const { stdout } = await promisify(execFile)(process.execPath, [builtMain("cli"), "keys", "create", "--user", user], { env });
      return stdout.trim();
    },
    async stop() {
      child.kill("SIGTERM");
      const impatience = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
      await exited;
      clearTimeout(impatience);
    },
  };
}

async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}
