import { setTimeout as delay } from "node:timers/promises";
import type { MethodDefinition } from "@grpc/grpc-js";
import { connect, unary } from "@memseal/transport";
import { service as healthService } from "grpc-health-check";
import { TRANSPORTS, type Ask } from "./gateway.js";
import { Stack } from "./stack.js";

const { Check: check } = healthService as unknown as Record<"Check", MethodDefinition<{ service: string }, { status: string }>>;

let stack: Stack;
let key: string;

beforeAll(async () => {
  stack = await Stack.start();
  key = await stack.createKey("grace");
});

afterAll(async () => {
  await stack.stop();
});

describe("a gateway that is told to stop", () => {
  it("ends with exit code 0 and leaves no call unanswered", async () => {
    const leaving = await stack.startGateway();
    const embedded: Ask = { method: "add", key, json: { memories: [{ text: "It needs the embedder." }] } };
    let answered = 0;
    const { answers, stopped } = await stack.whileRerankerStands(async () => {
      const answers = TRANSPORTS.map((transport) => leaving.ask(transport, embedded).finally(() => { answered++; }));
      // For the calls to arrive, and then for the signal to; however long either takes, no answer is ready before.
      await delay(1_000);
      const stopped = leaving.process.kill("SIGTERM");
      await delay(200);
      expect(answered).toBe(0);
      return { answers, stopped };
    });
    expect((await Promise.all(answers)).map(({ code }) => code)).toEqual(["ok", "ok"]);
    await stopped;
    expect(await leaving.process.exited).toBe(0);
  });

  it("says first that it is not ready, and answers meanwhile, on connections that it does not keep", async () => {
    const drainMs = 5_000;
    const leaving = await stack.startGateway({ MEMSEAL_DRAIN_MS: String(drainMs) });
    const kept = await leaving.fetch("/readyz");
    expect({ status: kept.status, connection: kept.headers.get("connection") }).toEqual({ status: 200, connection: "keep-alive" });
    const grpc = connect(leaving.grpc);
    const health = async () => (await unary(grpc, check, { service: "" }, { peer: "gateway", deadlineMs: Date.now() + 5_000 })).status;
    expect(await health()).toBe("SERVING");
    const toldMs = performance.now();
    const stopped = leaving.process.kill("SIGTERM");
    while (!leaving.process.lines.some((line) => line.includes('"event":"stopping"'))) await delay(10);
    const ready = await leaving.fetch("/readyz");
    expect({ status: ready.status, connection: ready.headers.get("connection") }).toEqual({ status: 503, connection: "close" });
    expect(await health()).toBe("NOT_SERVING");
    for (const transport of TRANSPORTS) expect(await leaving.ask(transport, { method: "list", key })).toMatchObject({ code: "ok" });
    grpc.close();
    await stopped;
    expect(performance.now() - toldMs).toBeGreaterThanOrEqual(drainMs);
    expect(await leaving.process.exited).toBe(0);
  });
});
