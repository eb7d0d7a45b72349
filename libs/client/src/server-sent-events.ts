export interface ServerSentEvent {
  /** `message` where the server named none. */
  event: string;
  data: string;
}

/**
 * The events of a stream as they come in, whatever pieces it comes in. An event that its end cuts off is dropped.
 * Source: WHATWG HTML, 9.2.6; ids and reconnection are of no use to an answer and are ignored.
 */
export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent, void, undefined> {
  let event = "";
  let data: string[] = [];
  for await (const line of linesOf(body)) {
    if (line === "") {
      if (data.length > 0) yield { event: event === "" ? "message" : event, data: data.join("\n") };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
}

/** Lines that end with CR, LF or both. A rest without such an end is none. Takes time and memory in proportion to what comes, in however many pieces. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  // Not for await: streams are iterable in few browsers.
  const reader = body.getReader();
  /** Pieces of the line that has not ended yet: joined once, at its end. */
  let begun: string[] = [];
  // A CR at the end of a piece may be half of a CRLF: the LF that follows ends no line.
  let endedWithCr = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const piece = decoder.decode(value, { stream: true });
      if (piece === "") continue;
      const [first = "", ...others] = (endedWithCr && piece.startsWith("\n") ? piece.slice(1) : piece).split(/\r\n|\n|\r/);
      endedWithCr = piece.endsWith("\r");
      begun.push(first);
      for (const other of others) {
        yield begun.join("");
        begun = [other];
      }
    }
  } finally {
    // Whoever stops reading frees the connection.
    await reader.cancel().catch(() => undefined);
  }
}
