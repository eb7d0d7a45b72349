import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "@memseal/transport/testing";
import { HaproxyLoadBalancer } from "../adapters/haproxy.js";
import type { Track } from "../world.js";
import { ended } from "./ended.js";

const CONFIG = fileURLToPath(new URL("../../../../deploy/haproxy/haproxy.cfg", import.meta.url));

/** Of a release's gateway: host:port. */
export interface TrackAddresses {
  readonly http: string;
  readonly grpc: string;
}

/** A HAProxy of its own, with the configuration that is shipped. */
export class Haproxy {
  private constructor(
    readonly http: string,
    readonly grpc: string,
    private readonly dir: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(tracks: Readonly<Record<Track, TrackAddresses>>, trackSecret: string): Promise<Haproxy> {
    const dir = mkdtempSync(join(tmpdir(), "memseal-haproxy-"));
    const [http, grpc] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const child = spawn("haproxy", ["-W", "-q", "-f", CONFIG], {
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        PATH: process.env.PATH,
        MEMSEAL_PROXY_HTTP: http,
        MEMSEAL_PROXY_GRPC: grpc,
        MEMSEAL_PROXY_SOCKET: join(dir, "socket"),
        MEMSEAL_PROXY_TRACK_SECRET: trackSecret,
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

  get socket(): string {
    return join(this.dir, "socket");
  }

  loadBalancer(): HaproxyLoadBalancer {
    return new HaproxyLoadBalancer(this.socket);
  }

  async stop(): Promise<void> {
    await ended(this.process, "SIGTERM");
    rmSync(this.dir, { recursive: true });
  }

  async #untilItAnswers(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (this.process.exitCode !== null) throw new Error(`haproxy exited with ${this.process.exitCode}`);
      if (await this.loadBalancer().read().then(() => true, () => false)) return;
      await delay(50);
    }
    throw new Error("haproxy does not answer");
  }
}
