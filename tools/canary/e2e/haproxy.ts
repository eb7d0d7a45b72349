import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "@memseal/transport/testing";
import { HaproxyLoadBalancer } from "../src/adapters/haproxy.js";

const CONFIG = fileURLToPath(new URL("../../../deploy/haproxy/haproxy.cfg", import.meta.url));

/** Its tests run where it is there, and where it is required, as in CI. */
export const canRun = process.env["MEMSEAL_REQUIRE_HAPROXY"] === "1" || spawnSync("haproxy", ["-v"]).status === 0;

/** Of a release's gateway: host:port. */
export interface TrackAddresses {
  readonly http: string;
  readonly grpc: string;
}

export const TRACK_SECRET = "the load's own";

/** A HAProxy of its own, with the configuration that is shipped. */
export class Haproxy {
  private constructor(
    readonly http: string,
    readonly grpc: string,
    private readonly dir: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(tracks: Readonly<Record<"stable" | "canary", TrackAddresses>>): Promise<Haproxy> {
    const dir = mkdtempSync(join(tmpdir(), "memseal-haproxy-"));
    const [http, grpc] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const child = spawn("haproxy", ["-W", "-f", CONFIG], {
      stdio: ["ignore", "inherit", "inherit"],
      env: {
        PATH: process.env["PATH"],
        MEMSEAL_PROXY_HTTP: http,
        MEMSEAL_PROXY_GRPC: grpc,
        MEMSEAL_PROXY_SOCKET: join(dir, "socket"),
        MEMSEAL_PROXY_TRACK_SECRET: TRACK_SECRET,
        MEMSEAL_STABLE_HTTP: tracks.stable.http,
        MEMSEAL_STABLE_GRPC: tracks.stable.grpc,
        MEMSEAL_CANARY_HTTP: tracks.canary.http,
        MEMSEAL_CANARY_GRPC: tracks.canary.grpc,
      },
    });
    const haproxy = new Haproxy(http, grpc, dir, child);
    await haproxy.#untilItAnswers();
    return haproxy;
  }

  loadBalancer(): HaproxyLoadBalancer {
    return new HaproxyLoadBalancer(join(this.dir, "socket"));
  }

  async stop(): Promise<void> {
    const ended = once(this.process, "exit");
    this.process.kill("SIGTERM");
    await ended;
    rmSync(this.dir, { recursive: true });
  }

  async #untilItAnswers(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (this.process.exitCode !== null) throw new Error(`haproxy exited with ${this.process.exitCode}`);
      if (await this.loadBalancer().read().then(() => true, () => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("haproxy does not answer");
  }
}
