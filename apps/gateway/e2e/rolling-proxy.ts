import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { freePort } from "@memseal/transport/testing";

const SHIPPED = fileURLToPath(new URL("../../../deploy/haproxy/haproxy.cfg", import.meta.url));

/** host:port. */
export interface RollingAddresses {
  readonly gateways: readonly { readonly http: string; readonly grpc: string }[];
  readonly rerankers: readonly string[];
}

/** HAProxy as it is shipped before two gateways, each with half of the credentials; and before two rerankers as a Service of Kubernetes is, which sees connections alone. */
export class RollingProxy {
  private constructor(readonly http: string, readonly reranker: string, private readonly dir: string, private readonly process: ChildProcess) {}

  static async start({ gateways: [first, second], rerankers }: RollingAddresses): Promise<RollingProxy> {
    const dir = mkdtempSync(join(tmpdir(), "memseal-rolling-"));
    const [http, grpc, reranker] = await Promise.all([0, 1, 2].map(async () => `127.0.0.1:${await freePort()}`));
    const connections = join(dir, "rerankers.cfg");
    writeFileSync(connections, `
listen rerankers
  mode tcp
  balance roundrobin
  option redispatch 1
  retries 3
  bind ${reranker}
${rerankers.map((address, i) => `  server reranker${i} ${address} check inter 500ms fall 1 rise 1`).join("\n")}
`);
    const child = spawn("haproxy", ["-W", "-q", "-f", SHIPPED, "-f", connections], {
      stdio: ["ignore", "inherit", "inherit"],
      env: {
        PATH: process.env["PATH"],
        MEMSEAL_PROXY_HTTP: http,
        MEMSEAL_PROXY_GRPC: grpc,
        MEMSEAL_PROXY_SOCKET: join(dir, "socket"),
        MEMSEAL_PROXY_TRACK_SECRET: "nobody's",
        MEMSEAL_STABLE_HTTP: first.http,
        MEMSEAL_STABLE_GRPC: first.grpc,
        MEMSEAL_CANARY_HTTP: second.http,
        MEMSEAL_CANARY_GRPC: second.grpc,
      },
    });
    const proxy = new RollingProxy(http, reranker, dir, child);
    await proxy.#untilItAnswers();
    await proxy.#command("set weight http_split/canary 100");
    return proxy;
  }

  /** Resolves when it takes so many gateways for ready. */
  async untilUp(servers: number): Promise<void> {
    for (let tries = 0; tries < 600; tries++) {
      if ((await this.#up()) === servers) return;
      await delay(50);
    }
    throw new Error(`haproxy does not see ${servers} gateways, but ${await this.#up()}`);
  }

  async stop(): Promise<void> {
    const ended = once(this.process, "exit");
    this.process.kill("SIGTERM");
    await ended;
    rmSync(this.dir, { recursive: true });
  }

  async #up(): Promise<number> {
    const lines = (await this.#command("show stat")).split("\n");
    return lines.filter((line) => /^http_split,(stable|canary),/.test(line) && /,UP[ ,]/.test(line)).length;
  }

  async #untilItAnswers(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (this.process.exitCode !== null) throw new Error(`haproxy exited with ${this.process.exitCode}`);
      if (await this.#command("show info").then(() => true, () => false)) return;
      await delay(50);
    }
    throw new Error("haproxy does not answer");
  }

  async #command(command: string): Promise<string> {
    const socket = connect(join(this.dir, "socket"));
    socket.end(`${command}\n`);
    return text(socket);
  }
}
