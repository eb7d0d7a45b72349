import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@memseal/transport/testing";
import { Haproxy } from "./haproxy.js";
import { faultFileIn, Installation, type Fault, type RunningRelease } from "./installation.js";
import { Monitoring } from "./monitoring.js";
import { Rehearsal } from "./rehearsal.js";

export interface StageOptions {
  /** Of the stable release's repository, built. */
  readonly stable: string;
  /** API keys, one user each. */
  readonly users: number;
}

/** An installation with a stable release, on which candidates are rehearsed one after the other. */
export class Stage {
  private constructor(
    private readonly installation: Installation,
    private readonly stable: RunningRelease,
    readonly keys: readonly string[],
  ) {}

  static async start({ stable, users }: StageOptions): Promise<Stage> {
    const installation = await Installation.start();
    const [release, keys] = await Promise.all([
      installation.startRelease({ folder: stable, track: "stable" }),
      Promise.all(Array.from({ length: users }, (_, i) => installation.createKey(`rehearsal-${i + 1}`))),
    ]);
    return new Stage(installation, release, keys);
  }

  /** A candidate beside it, and everything that watches and switches, new: what is counted begins at 0. */
  async rehearse(candidate: string, fault?: Fault): Promise<Rehearsal> {
    const dir = mkdtempSync(join(tmpdir(), "memseal-rehearsal-"));
    const release = await this.installation.startRelease({ folder: candidate, track: "canary", fault, faultFile: faultFileIn(dir) });
    const trackSecret = randomBytes(16).toString("hex");
    const webhook = { address: `127.0.0.1:${await freePort()}`, token: randomBytes(16).toString("hex") };
    const [haproxy, monitoring] = await Promise.all([
      Haproxy.start({ stable: this.stable.addresses, canary: release.addresses }, trackSecret),
      Monitoring.start([...this.stable.targets, ...release.targets], webhook),
    ]);
    return new Rehearsal({ dir, release, haproxy, monitoring, trackSecret, webhook, keys: this.keys });
  }

  async stop(): Promise<void> {
    await this.stable.stop();
    await this.installation.stop();
  }
}
