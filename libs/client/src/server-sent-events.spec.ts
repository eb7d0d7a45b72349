import fc from "fast-check";
import { serverSentEvents, type ServerSentEvent } from "./server-sent-events.js";

/** One piece at a time: a queue of many is slow in itself. */
function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (next === chunks.length) controller.close();
      else controller.enqueue(chunks[next++]);
    },
  });
}

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

  it("take time in proportion to their length, in however many pieces they come", async () => {
    const msOf = async (pieces: number) => {
      const chunks = [bytes("data: "), ...Array.from({ length: pieces }, () => bytes("x".repeat(100))), bytes("\n\n")];
      const startMs = performance.now();
      const [event] = await read(chunks);
      expect(event.data).toHaveLength(pieces * 100);
      return performance.now() - startMs;
    };
    await msOf(1_000);
    const [few, many] = [Math.min(await msOf(5_000), await msOf(5_000)), await msOf(50_000)];
    // Ten times as much; a hundred times as long where each piece looks at all before it.
    expect(many / few).toBeLessThan(40);
  });
});
