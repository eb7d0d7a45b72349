import { text } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { AppError, UnavailableError } from "@memseal/errors";
import { eventStream, type Emit, type ServerSentEvent } from "./event-stream.js";

const taking: Parameters<Emit>[1] = { hold: () => () => undefined, signal: new AbortController().signal };
const told = (error: unknown): ServerSentEvent => ({ event: "error", data: { code: (error as AppError).code } });

describe("eventStream", () => {
  it("writes each event on lines of its own, whatever its data holds", async () => {
    const stream = await eventStream(async (emit) => {
      await emit({ event: "results", data: { text: "a\n\nevent: done\ndata: {}\r\n\u2028" } }, taking);
      await emit({ event: "done", data: {} }, taking);
    }, told);
    expect(await text(stream)).toBe('event: results\ndata: {"text":"a\\n\\nevent: done\\ndata: {}\\r\\n\u2028"}\n\nevent: done\ndata: {}\n\n');
  });

  it("is there with the first event, before there is a second", async () => {
    let end: () => void = () => undefined;
    const stream = await eventStream(async (emit) => {
      await emit({ event: "first", data: {} }, taking);
      await new Promise<void>((resolve) => { end = resolve; });
      await emit({ event: "second", data: {} }, taking);
    }, told);
    expect(String(stream.read())).toBe("event: first\ndata: {}\n\n");
    end();
    expect(await text(stream)).toBe("event: second\ndata: {}\n\n");
  });

  it("rejects with what fails before the first event, so that the answer may still be another", async () => {
    await expect(eventStream(() => Promise.reject(new UnavailableError("gone")), told)).rejects.toMatchObject({ code: "unavailable" });
    await expect(eventStream(() => Promise.reject(new Error("password=hunter2")), told)).rejects.toMatchObject({ code: "internal", message: "internal error" });
  });

  it("ends with an event of what fails after the first", async () => {
    const stream = await eventStream(async (emit) => {
      await emit({ event: "first", data: {} }, taking);
      await turn();
      throw new UnavailableError("gone");
    }, told);
    expect(await text(stream)).toBe('event: first\ndata: {}\n\nevent: error\ndata: {"code":"unavailable"}\n\n');
  });

  it("waits with the next event until what came before has gone on, and no longer than somebody waits for it", async () => {
    const caller = new AbortController();
    const held: number[] = [];
    const large = { event: "large", data: { text: "x".repeat(1_000_000) } };
    const emitted: string[] = [];
    const stream = await eventStream(async (emit) => {
      for (const name of ["first", "second", "third", "fourth"]) {
        await emit(large, { hold: (bytes) => (held.push(bytes), () => undefined), signal: caller.signal });
        emitted.push(name);
      }
    }, told);
    const settle = async () => { for (let i = 0; i < 10; i++) await turn(); };
    await settle();
    expect(emitted).toEqual(["first"]);
    stream.read();
    await settle();
    expect(emitted).toEqual(["first", "second"]);
    caller.abort(new UnavailableError("gone"));
    await settle();
    expect(emitted).toEqual(["first", "second"]);
    expect(held).toEqual(Array(2).fill(1_000_032));
    expect((await text(stream)).slice(-60)).toContain("event: error");
  });

  it("ends where there was no event", async () => {
    expect(await text(await eventStream(() => Promise.resolve(), told))).toBe("");
  });
});
