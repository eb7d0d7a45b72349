import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { MemoryServiceService as methods } from "@memseal/contracts";
import { TRANSPORTS, type Gateway } from "./gateway.js";
import { UnreadCalls } from "./raw-grpc.js";
import { Stack } from "./stack.js";

/** How long an answer may take to be taken. */
const TAKE_MS = 4_000;
const MIB = 1_048_576;
/** What may wait for one user, by default. */
const TENANT_MIB = 16;
/** Pages that a hoarder asks for, of nearly 1 MiB each. */
const PAGES = 200;
/** What the gateway may take beside what waits: answers in the making, as messages and as JSON, until they are collected. Without a bound 60 clients took 800. */
const MAKING_MIB = 250;

let stack: Stack;
let gateway: Gateway;
let reader: string;
let hoarder: string;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway({ MEMSEAL_HTTP_RECEIVE_TIMEOUT_MS: String(TAKE_MS) });
  [reader, hoarder] = [await stack.createKey("reader"), await stack.createKey("hoarder")];
  const large = Array.from({ length: 22 }, (_, i) => ({ text: `${i} ${"gate ".repeat(9_000)}`, vector: [1, i, 0.5] }));
  for (const key of [reader, hoarder]) expect((await gateway.ask("grpc", { method: "add", key, json: { memories: large } })).code).toBe("ok");
  for (const transport of TRANSPORTS) for (let i = 0; i < 20; i++) await gateway.ask(transport, { method: "list", key: reader, json: { limit: "100" } });
});

afterAll(() => stack.stop());

const residentMib = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${gateway.process.pid}/status`, "utf8"))?.[1]) / 1_024;
const untakenMib = async () => Number(/^memseal_untaken_answer_bytes\{[^}]*\} (\d+)/m.exec(await (await gateway.fetch("/metrics")).text())?.[1]) / MIB;

/** Whoever asks and reads nothing. Each step asks for a tenth of the pages. */
interface Hoard {
  step(): void;
  /** Its connections end. */
  leave(): void;
}

function hoardOver(transport: string): Hoard {
  return transport === "http" ? hoardOverHttp() : hoardOverGrpc();
}

/** Requests one behind the other: what the kernel keeps of each connection is no answer that waits here. */
function hoardOverHttp(): Hoard {
  const [host, port] = gateway.http.split(":");
  const request = `GET /v1/memories?limit=100 HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer ${hoarder}\r\n\r\n`;
  const sockets: Socket[] = [];
  return {
    step: () => {
      const socket = connect(Number(port), host).on("error", () => undefined).pause();
      socket.write(request.repeat(PAGES / 10));
      sockets.push(socket);
    },
    leave: () => { for (const socket of sockets) socket.destroy(); },
  };
}

function hoardOverGrpc(): Hoard {
  const calls = new UnreadCalls(gateway.grpc, hoarder);
  const message = methods.list.requestSerialize({ limit: 100, cursor: undefined, filters: undefined, userId: undefined });
  return {
    step: () => { for (let i = 0; i < PAGES / 10; i++) calls.ask(methods.list.path, message); },
    leave: () => { calls.leave(); },
  };
}

async function untilNoneWait(withinMs: number): Promise<void> {
  for (const until = Date.now() + withinMs; (await untakenMib()) > 0;) {
    if (Date.now() > until) throw new Error(`${await untakenMib()} MiB still wait`);
    await delay(50);
  }
}

describe.each(TRANSPORTS)("a user who asks for pages over %s and reads none", (transport) => {
  let hoard: Hoard;
  beforeEach(async () => {
    await untilNoneWait(30_000);
    hoard = hoardOver(transport);
  });
  afterEach(() => { hoard.leave(); });

  it("holds no more of the gateway's memory than is allowed, is refused more, and is served again when they were cut off; others are served throughout", async () => {
    const before = residentMib();
    let [peakMib, peakUntakenMib] = [0, 0];
    for (let step = 0; step < 10; step++) {
      hoard.step();
      for (const other of TRANSPORTS) expect(await gateway.ask(other, { method: "list", key: reader, json: { limit: "1" } })).toMatchObject({ code: "ok" });
      peakUntakenMib = Math.max(peakUntakenMib, await untakenMib());
      peakMib = Math.max(peakMib, residentMib());
      await delay(50);
    }
    expect(peakUntakenMib).toBeGreaterThan(TENANT_MIB / 2);
    expect(peakUntakenMib).toBeLessThanOrEqual(TENANT_MIB);
    expect(peakMib - before).toBeLessThan(TENANT_MIB + MAKING_MIB);
    for (const other of TRANSPORTS) {
      expect(await gateway.ask(other, { method: "list", key: hoarder })).toMatchObject({ code: "resource_exhausted", retryAfter: "1", body: { detail: expect.stringContaining("wait to be read") as string } });
    }
    await untilNoneWait(2 * TAKE_MS);
    for (const other of TRANSPORTS) expect((await gateway.ask(other, { method: "list", key: hoarder, json: { limit: "1" } })).code).toBe("ok");
  });

  it("makes room at once by leaving", async () => {
    hoard.step();
    while ((await untakenMib()) < TENANT_MIB / 4) await delay(50);
    hoard.leave();
    await untilNoneWait(0.75 * TAKE_MS);
  });
});
