import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoadBalancer } from "../adapters/load-balancer.js";
import type { Haproxy } from "./haproxy.js";
import { faultFileIn, type RunningRelease } from "./installation.js";
import type { Monitoring, Webhook } from "./monitoring.js";

export interface RehearsalParts {
  /** Of its own; removed with it. */
  readonly dir: string;
  readonly release: RunningRelease;
  readonly haproxy: Haproxy;
  readonly monitoring: Monitoring;
  readonly trackSecret: string;
  readonly webhook: Webhook;
  readonly keys: readonly string[];
}

/** A candidate that is ready to be rolled out, and what an operator has for it. */
export class Rehearsal {
  /** The variables of `canary run`. */
  readonly env: Readonly<Record<string, string>>;
  /** Of who signed the evidence, PEM. */
  readonly publicKeyFile: string;

  constructor(private readonly parts: RehearsalParts) {
    const { dir, haproxy, monitoring, trackSecret, webhook, keys } = parts;
    const file = (name: string, text: string): string => {
      const path = join(dir, "operator", name);
      mkdirSync(join(dir, "operator"), { recursive: true, mode: 0o700 });
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    this.publicKeyFile = file("evidence.pub", publicKey.export({ type: "spki", format: "pem" }).toString());
    this.env = {
      MEMSEAL_CANARY_URL: `http://${haproxy.http}`,
      MEMSEAL_PROXY_SOCKET: haproxy.socket,
      MEMSEAL_PROXY_TRACK_SECRET: trackSecret,
      MEMSEAL_PROMETHEUS_URL: monitoring.url,
      MEMSEAL_CANARY_KEYS_FILE: file("load.keys", `${keys.join("\n")}\n`),
      MEMSEAL_CANARY_SIGNING_KEY_FILE: file("evidence.key", privateKey.export({ type: "pkcs8", format: "pem" }).toString()),
      MEMSEAL_CANARY_WEBHOOK_TOKEN_FILE: file("webhook.token", webhook.token),
      MEMSEAL_CANARY_WEBHOOK_ADDRESS: webhook.address,
    };
  }

  get loadBalancer(): LoadBalancer {
    return this.parts.haproxy.loadBalancer();
  }

  beginFault(): void {
    writeFileSync(faultFileIn(this.parts.dir), "");
  }

  killPrometheus(): Promise<void> {
    return this.parts.monitoring.killPrometheus();
  }

  async stop(): Promise<void> {
    const { dir, release, haproxy, monitoring } = this.parts;
    await Promise.all([haproxy.stop(), monitoring.stop()]);
    await release.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
