import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, runToExit, startProcess } from "@memseal/transport/testing";

const builtMain = (app: string): string => fileURLToPath(new URL(`../../../apps/${app}/dist/main.js`, import.meta.url));

/** A whole Memseal as `npm start` runs it. */
export interface LocalMemseal {
  /** `http://host:port`. */
  readonly url: string;
  createKey(user: string): Promise<string>;
  stop(): Promise<void>;
}

/** In a throw-away directory. settings: `MEMSEAL_*` variables beside addresses and home. */
export async function startLocalMemseal(settings: Readonly<Record<string, string>>): Promise<LocalMemseal> {
  const home = mkdtempSync(join(tmpdir(), "memseal-eval-"));
  // Started as root, PostgreSQL runs as another user, who must be able to pass through.
  chmodSync(home, 0o711);
  const http = `127.0.0.1:${await freePort()}`;
  const env = { ...settings, MEMSEAL_HOME: home, MEMSEAL_HTTP_ADDRESS: http, MEMSEAL_GRPC_ADDRESS: `127.0.0.1:${await freePort()}` };
  const removeHome = (): void => { rmSync(home, { recursive: true, force: true }); };
  try {
    const standalone = await startProcess(builtMain("standalone"), env, { readyLine: '"service":"standalone","event":"ready"' });
    return {
      url: `http://${http}`,
      async createKey(user) {
        const { code, lines } = await runToExit(builtMain("cli"), env, ["keys", "create", "--user", user]);
        const key = lines.find((line) => line.startsWith("msk_"));
        if (code !== 0 || key === undefined) throw new Error(`no key for ${user}:\n${lines.join("\n")}`);
        return key;
      },
      async stop() {
        await standalone.kill("SIGTERM");
        removeHome();
      },
    };
  } catch (error) {
    removeHome();
    throw error;
  }
}
