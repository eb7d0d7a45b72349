import { status, type Client, type ServiceDefinition, type StatusObject } from "@grpc/grpc-js";
import { connect, type TransportSecurity } from "@memseal/transport";
import { service as healthService } from "grpc-health-check";

const { Watch: watch } = healthService as unknown as ServiceDefinition;

/** How soon the health of one that does not tell is asked for again. */
const WATCH_AGAIN_MS = 200;

/** What an indexer said last of itself: `unknown` before it was reached for the first time, `away` when its connection is lost. */
export type Health = "unknown" | "serving" | "not serving" | "away";

/** One indexer: a channel whose health is watched, so that it is known without asking. */
export class IndexerEndpoint {
  readonly channel: Client;
  #health: Health = "unknown";
  #isClosed = false;

  /** name: whom its certificate must be for, where the address was looked up. onChange: told of each change of its health. */
  constructor(address: string, security: TransportSecurity, name: string | undefined, private readonly onChange: () => void) {
    this.channel = connect(address, security, { name });
    this.#watch();
  }

  get health(): Health {
    return this.#health;
  }

  /** Calls in flight end by themselves. */
  close(): void {
    this.#isClosed = true;
    this.channel.close();
  }

  #watch(): void {
    if (this.#isClosed) return;
    const stream = this.channel.makeServerStreamRequest(watch.path, watch.requestSerialize, watch.responseDeserialize, { service: "" });
    stream.on("data", (told: { status: string }) => { this.#become(told.status === "SERVING" ? "serving" : "not serving"); });
    // Said by the status, too.
    stream.on("error", () => undefined);
    stream.once("status", ({ code }: StatusObject) => {
      // It ends the stream itself before it stops.
      this.#become(code === status.OK ? "not serving" : "away");
      setTimeout(() => { this.#watch(); }, WATCH_AGAIN_MS).unref();
    });
  }

  #become(health: Health): void {
    if (health === this.#health) return;
    this.#health = health;
    this.onChange();
  }
}
