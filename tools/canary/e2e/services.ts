import { freePort, type ServiceProcess } from "@memseal/transport/testing";
import type { Installation } from "../src/demo/installation.js";
import { ROOT } from "../src/repository.js";

export interface Change {
  /** Name of a fault to run it with; as it is without. */
  readonly fault?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A gateway or an indexer as a process, and where it answers. */
export interface RunningApp {
  /** Of its API: host:port. */
  readonly address: string;
  /** Of its metrics: host:port. */
  readonly metrics: string;
}

/** Any number of indexers and gateways of this tree on one installation. There is no reranker: callers bring their own vectors. */
export class Services {
  readonly #started: ServiceProcess[] = [];

  constructor(private readonly installation: Installation) {}

  async startIndexer(change: Change = {}): Promise<RunningApp> {
    const [address, metrics] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    await this.#start("indexer", change, { MEMSEAL_INDEXER_ADDRESS: address, MEMSEAL_METRICS_ADDRESS: metrics });
    return { address, metrics };
  }

  async startGateway(indexer: RunningApp, change: Change = {}): Promise<RunningApp> {
    const address = `127.0.0.1:${await freePort()}`;
    await this.#start("gateway", change, {
      MEMSEAL_HTTP_ADDRESS: address,
      MEMSEAL_GRPC_ADDRESS: `127.0.0.1:${await freePort()}`,
      MEMSEAL_INDEXER_ADDRESS: indexer.address,
      MEMSEAL_RERANKER_ADDRESS: `127.0.0.1:${await freePort()}`,
    });
    return { address, metrics: address };
  }

  async stop(): Promise<void> {
    // Gateways were started after their indexers.
    for (const service of this.#started.reverse()) await service.kill("SIGTERM");
  }

  async #start(service: "gateway" | "indexer", { env, ...change }: Change, own: Readonly<Record<string, string>>): Promise<void> {
    this.#started.push(await this.installation.startService(service, { folder: ROOT, ...change, env: { ...own, ...env } }));
  }
}
