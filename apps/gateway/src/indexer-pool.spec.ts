import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials, type Client } from "@grpc/grpc-js";
import { InvalidArgumentError, OverloadedError, UnavailableError } from "@memseal/errors";
import { PeerLostError, TransportSecurity } from "@memseal/transport";
import { freePort } from "@memseal/transport/testing";
import { HealthImplementation } from "grpc-health-check";
import { IndexerPool, type Placement } from "./indexer-pool.js";
import { rendezvousOrder } from "./rendezvous.js";

/** A server that has a health, as an indexer has. */
class Peer {
  readonly #server = new Server();
  readonly #health = new HealthImplementation({ "": "SERVING" });

  private constructor(readonly address: string) {
    this.#health.addToServer(this.#server);
  }

  static async start(address: string): Promise<Peer> {
    const peer = new Peer(address);
    await new Promise<void>((resolve, reject) => { peer.#server.bindAsync(address, ServerCredentials.createInsecure(), (error) => { if (error) reject(error); else resolve(); }); });
    return peer;
  }

  says(status: "SERVING" | "NOT_SERVING"): void {
    this.#health.setStatus("", status);
  }

  kill(): void {
    this.#server.forceShutdown();
  }
}

let dir: string;
let peers: Peer[];
let pool: IndexerPool | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "memseal-pool-"));
  peers = [];
});
afterEach(() => {
  pool?.close();
  for (const peer of peers) peer.kill();
  rmSync(dir, { recursive: true });
});

async function start(address: string): Promise<Peer> {
  const peer = await Peer.start(address);
  peers.push(peer);
  return peer;
}
const socket = (name: string) => `unix:${join(dir, name)}`;
const places = (affinity: string, isRepeatable = true): Placement => ({ affinity, isRepeatable, deadlineMs: Date.now() + 10_000, signal: AbortSignal.timeout(10_000) });
const targetOf = (channel: Client) => Promise.resolve(channel.getChannel().getTarget().replace("dns:", ""));

/** What it says once it says it, or after five seconds. */
async function soon<T>(ask: () => Promise<T>, wanted: T): Promise<T> {
  const giveUpMs = Date.now() + 5_000;
  for (;;) {
    const answer = await ask();
    if (answer === wanted || Date.now() > giveUpMs) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("several indexers", () => {
  it("have each user at the first in rendezvous order that serves, and again when it comes back", async () => {
    const addresses = [socket("a"), socket("b"), socket("c")];
    const started = await Promise.all(addresses.map(start));
    pool = new IndexerPool(addresses, TransportSecurity.LOOPBACK);
    for (const user of ["ada", "bob", "cyd", "dan", "eve"]) {
      const [first, second] = rendezvousOrder(addresses, user);
      const ask = () => pool!.run(places(user), targetOf);
      expect(await soon(ask, first)).toBe(first);
      const peer = started.find(({ address }) => address === first)!;
      peer.says("NOT_SERVING");
      expect(await soon(ask, second)).toBe(second);
      peer.says("SERVING");
      expect(await soon(ask, first)).toBe(first);
    }
  });

  it("serve while any of them does", async () => {
    const addresses = [socket("a"), socket("b")];
    const a = await start(addresses[0]);
    pool = new IndexerPool(addresses, TransportSecurity.LOOPBACK);
    expect(await pool.isServing()).toBe(true);
    a.says("NOT_SERVING");
    expect(await soon(() => pool!.isServing(), false)).toBe(false);
    await start(addresses[1]);
    expect(await soon(() => pool!.isServing(), true)).toBe(true);
    a.kill();
    expect(await pool.isServing()).toBe(true);
  });

  it("are found anew behind their name, and each counts", async () => {
    const port = await freePort();
    let found = ["127.0.0.2"];
    await Promise.all([start(`127.0.0.2:${port}`), start(`127.0.0.3:${port}`)]);
    pool = new IndexerPool([`localhost:${port}`], TransportSecurity.LOOPBACK, (host) => (host === "localhost" ? Promise.resolve(found) : Promise.reject(new Error())));
    const at = async () => new Set(await Promise.all(Array.from({ length: 40 }, (_v, i) => pool!.run(places(`user ${i}`), targetOf))));
    expect([...await at()]).toEqual([`127.0.0.2:${port}`]);
    found = ["127.0.0.2", "127.0.0.3"];
    expect(await soon(async () => (await at()).size, 2).catch(() => 0)).toBe(2);
  }, 20_000);
});

describe("a call whose indexer is lost", () => {
  const lost = () => new PeerLostError("indexer", undefined);
  let addresses: string[];
  beforeEach(async () => {
    addresses = [socket("a"), socket("b")];
    await Promise.all(addresses.map(start));
    pool = new IndexerPool(addresses, TransportSecurity.LOOPBACK);
    await Promise.all(addresses.map((address) => soon(() => pool!.run(places(userOf(address)), targetOf), address)));
  });
  /** One whose place is there. */
  const userOf = (address: string) => Array.from({ length: 100 }, (_v, i) => `user ${i}`).find((user) => rendezvousOrder(addresses, user)[0] === address)!;

  /** Where a call went whose every indexer fails so. */
  async function failing(error: Error, isRepeatable: boolean): Promise<{ tries: string[]; thrown: unknown }> {
    const tries: string[] = [];
    const thrown = await pool!.run(places("ada", isRepeatable), async (channel) => {
      tries.push(await targetOf(channel));
      throw error;
    }).catch((failure: unknown) => failure);
    return { tries, thrown };
  }

  it("is made elsewhere when it may be, each indexer once", async () => {
    const error = lost();
    expect(await failing(error, true)).toEqual({ tries: rendezvousOrder(addresses, "ada"), thrown: error });
    const away = new UnavailableError("the database cannot be reached");
    expect(await failing(away, true)).toEqual({ tries: rendezvousOrder(addresses, "ada"), thrown: away });
  });

  it("is not made again when it may have been stored, and says what to do", async () => {
    const { tries, thrown } = await failing(lost(), false);
    expect(tries).toHaveLength(1);
    expect(thrown).toMatchObject({ code: "unavailable", retryAfterS: 1 });
    expect((thrown as Error).message).toContain("may have been stored: look before you send it again, or send writes with an idempotency key");
  });

  it("keeps the words of an indexer that could say what is wrong", async () => {
    const away = new UnavailableError("the database cannot be reached");
    expect((await failing(away, false)).thrown).toBe(away);
  });

  it.each([new InvalidArgumentError("query", "is empty"), new OverloadedError("busy"), new TypeError("a fault of ours")])("is not made elsewhere after an answer: %s", async (error) => {
    expect(await failing(error, true)).toEqual({ tries: [rendezvousOrder(addresses, "ada")[0]], thrown: error });
  });
});
