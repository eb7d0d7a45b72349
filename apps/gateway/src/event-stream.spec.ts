import { text } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { AppError, UnavailableError } from "@memseal/errors";
import { eventStream, type ServerSentEvent } from "./event-stream.js";

const told = (error: unknown): ServerSentEvent => ({ event: "error", data: { code: (error as AppError).code } });

describe("eventStream", () => {
  it("writes each event on lines of its own, whatever its data holds", async () => {
    const stream = await eventStream((emit) => {
      emit({ event: "results", data: { text: "a\n\nevent: done\ndata: {}\r\n\u2028" } });
      emit({ event: "done", data: {} });
      return Promise.resolve();
    }, told);
    expect(await text(stream)).toBe('event: results\ndata: {"text":"a\\n\\nevent: done\\ndata: {}\\r\\n\u2028"}\n\nevent: done\ndata: {}\n\n');
  });

  it("is there with the first event, before there is a second", async () => {
    let end: () => void = () => undefined;
    const stream = await eventStream(async (emit) => {
      emit({ event: "first", data: {} });
      await new Promise<void>((resolve) => { end = resolve; });
      emit({ event: "second", data: {} });
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
      emit({ event: "first", data: {} });
      await turn();
      throw new UnavailableError("gone");
    }, told);
    expect(await text(stream)).toBe('event: first\ndata: {}\n\nevent: error\ndata: {"code":"unavailable"}\n\n');
  });

  it("ends where there was no event", async () => {
    expect(await text(await eventStream(() => Promise.resolve(), told))).toBe("");
  });
});
