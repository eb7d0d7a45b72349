import { lookup } from "node:dns/promises";
import { EventEmitter, once } from "node:events";
import { isIP } from "node:net";
import type { Client } from "@grpc/grpc-js";
import { parseHostAndPort } from "@memseal/config";
import { AppError, UnavailableError } from "@memseal/errors";
import { PeerLostError, type TransportSecurity } from "@memseal/transport";
import { IndexerEndpoint } from "./indexer-endpoint.js";
import { rendezvousOrder } from "./rendezvous.js";

/** How often names are looked up again: an indexer that is new has its users within this. */
const LOOKUP_INTERVAL_MS = 5_000;
/** How long a call waits for indexers that were never reached yet. */
const FIRST_CONTACT_MS = 1_000;

/** Addresses of a name, as IP addresses. */
export type Lookup = (host: string) => Promise<readonly string[]>;

export interface Placement {
  /** Calls of the same one go to the same indexer, which has its index in memory. */
  affinity: string;
  /** Whether it does no harm twice: a read, or a write with an idempotency key. */
  isRepeatable: boolean;
  /** Unix time in milliseconds. */
  deadlineMs: number;
  signal: AbortSignal;
}

/** The indexers of all addresses. A call goes to the first, in rendezvous order, that serves; where that one is lost, it goes to the next if it may. */
export class IndexerPool {
  readonly #endpoints = new Map<string, IndexerEndpoint>();
  /** Of each configured address what was found last: `host:port` or `unix:/path`. */
  readonly #found = new Map<string, readonly string[]>();
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly #timer: NodeJS.Timeout;

  /** @throws StartupError for an address that would be plaintext and may not */
  constructor(
    private readonly addresses: readonly string[],
    private readonly security: TransportSecurity,
    private readonly find: Lookup = findAll,
  ) {
    for (const address of addresses) security.channel(address);
    this.#lookUp();
    this.#timer = setInterval(() => { this.#lookUp(); }, LOOKUP_INTERVAL_MS).unref();
  }

  /**
   * The answer of the first that gives one. What an indexer answers is an answer; only one that is lost, or says that it is
   * unavailable, has a next.
   * @throws AppError
   */
  async run<T>(placement: Placement, send: (channel: Client) => Promise<T>): Promise<T> {
    const { isRepeatable, signal } = placement;
    const tried = new Set<IndexerEndpoint>();
    let failure = new UnavailableError("the indexer cannot be reached; try again") as unknown;
    for (;;) {
      const endpoint = await this.#choose(placement, tried);
      if (endpoint === undefined) throw failure;
      tried.add(endpoint);
      try {
        return await send(endpoint.channel);
      } catch (error) {
        if (signal.aborted || !(error instanceof AppError)) throw error;
        const isLost = error instanceof PeerLostError || error.code === "cancelled";
        if (!isLost && error.code !== "unavailable") throw error;
        if (!isRepeatable) throw isLost ? mayBeStored(error) : error;
        failure = error;
      }
    }
  }

  /** Whether any indexer says that it serves. */
  async isServing(): Promise<boolean> {
    const found = await this.#choose({ affinity: "", deadlineMs: Infinity, signal: AbortSignal.timeout(FIRST_CONTACT_MS) }, new Set());
    return found?.health === "serving";
  }

  close(): void {
    clearInterval(this.#timer);
    for (const endpoint of this.#endpoints.values()) endpoint.close();
  }

  /** undefined when there is none left to try. */
  async #choose({ affinity, deadlineMs, signal }: Omit<Placement, "isRepeatable">, tried: ReadonlySet<IndexerEndpoint>): Promise<IndexerEndpoint | undefined> {
    const giveUpMs = Math.min(deadlineMs, Date.now() + FIRST_CONTACT_MS);
    for (;;) {
      const inOrder = rendezvousOrder([...this.#endpoints.keys()], affinity).flatMap((address) => this.#endpoints.get(address) ?? []).filter((endpoint) => !tried.has(endpoint));
      const serving = inOrder.find(({ health }) => health === "serving");
      if (serving !== undefined) return serving;
      const leftMs = giveUpMs - Date.now();
      const isAnyUnknown = this.#found.size < this.addresses.length || inOrder.some(({ health }) => health === "unknown");
      // One that says it does not serve can still say why.
      if (!isAnyUnknown || leftMs <= 0 || signal.aborted) return inOrder.find(({ health }) => health === "not serving");
      await once(this.#events, "change", { signal: AbortSignal.any([signal, AbortSignal.timeout(leftMs)]) }).catch(() => undefined);
    }
  }

  #lookUp(): void {
    for (const address of this.addresses) {
      void this.#resolve(address).then((found) => {
        this.#found.set(address, found);
        this.#update();
      });
    }
  }

  /** As they are now; as they were, while names cannot be looked up. */
  async #resolve(address: string): Promise<readonly string[]> {
    const { host, port } = parseHostAndPort(address) ?? {};
    if (host === undefined || isIP(host) !== 0) return [address];
    try {
      return (await this.find(host)).map((ip) => `${isIP(ip) === 6 ? `[${ip}]` : ip}:${port}`);
    } catch {
      return this.#found.get(address) ?? [];
    }
  }

  #update(): void {
    const wanted = new Map([...this.#found].flatMap(([configured, found]) => found.map((address) => [address, parseHostAndPort(configured)?.host] as const)));
    for (const [address, endpoint] of this.#endpoints) {
      if (wanted.has(address)) continue;
      this.#endpoints.delete(address);
      endpoint.close();
    }
    for (const [address, name] of wanted) {
      if (!this.#endpoints.has(address)) this.#endpoints.set(address, new IndexerEndpoint(address, this.security, name, () => { this.#events.emit("change"); }));
    }
    this.#events.emit("change");
  }
}

async function findAll(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

function mayBeStored(cause: AppError): UnavailableError {
  return new UnavailableError("the connection to the indexer was lost and the write may have been stored: look before you send it again, or send writes with an idempotency key", { cause });
}
