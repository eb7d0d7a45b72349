import fc from "fast-check";
import { serverSentEvents, type ServerSentEvent } from "./server-sent-events.js";

const streamOf = (chunks: readonly Uint8Array[]) => new ReadableStream<Uint8Array>({
  start(controller) {
    for (const chunk of chunks) controller.enqueue(chunk);
    controller.close();
  },
});

async function read(chunks: readonly Uint8Array[]): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of serverSentEvents(streamOf(chunks))) events.push(event);
  return events;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const word = fc.string({ unit: "binary", maxLength: 12 }).map((text) => text.replace(/[\r\n\ud800-\udfff\0\ufeff]/g, "x")).map((text) => `a${text}`);

describe("server-sent events", () => {
  it("are those of the standard's examples", async () => {
    expect(await read([bytes("data: YHOO\ndata: +2\ndata: 10\n\n")])).toEqual([{ event: "message", data: "YHOO\n+2\n10" }]);
    expect(await read([bytes(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n")]))
      .toEqual(["first event", "second event", " third event"].map((data) => ({ event: "message", data })));
    expect(await read([bytes("data\n\ndata\ndata\n\ndata:")])).toEqual([{ event: "message", data: "" }, { event: "message", data: "\n" }]);
  });

  it("are the same in whatever pieces they come, with any of the three line ends", async () => {
    const sent = fc.array(fc.record({ event: word, data: fc.array(word, { minLength: 1, maxLength: 3 }) }), { maxLength: 5 });
    await fc.assert(fc.asyncProperty(sent, fc.constantFrom("\n", "\r", "\r\n"), fc.array(fc.nat(80), { maxLength: 12 }), async (events, end, cuts) => {
      const whole = bytes(events.map(({ event, data }) => [`event: ${event}`, ...data.map((line) => `data: ${line}`), "", ""].join(end)).join(""));
      const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
      const chunks = places.slice(1).map((place, i) => whole.subarray(places[i], place));
      expect(await read(chunks)).toEqual(events.map(({ event, data }) => ({ event, data: data.join("\n") })));
    }));
  });
});
