import { once } from "node:events";
import { PassThrough, type Readable } from "node:stream";
import { toAppError } from "@memseal/errors";
import type { Hold } from "./admission.js";

/** A server-sent event. Source: HTML Living Standard, 9.2. */
export interface ServerSentEvent {
  event: string;
  data: object;
}

/** How an event waits to be taken. */
export interface Taking {
  hold: Hold;
  /** Aborts when nobody waits for more. */
  signal: AbortSignal;
}

/** Writes an event as soon as those before it have gone on. @throws where that will not be, and what `hold` throws */
export type Emit = (event: ServerSentEvent, taking: Taking) => Promise<void>;

/**
 * Events as they come, once the first is there: until then the answer may still be another. What fails before it rejects,
 * what fails after it ends the stream with the event `onFailure` makes of it.
 */
export function eventStream(events: (emit: Emit) => Promise<void>, onFailure: (error: unknown) => ServerSentEvent): Promise<Readable> {
  const stream = new PassThrough();
  return new Promise((resolve, reject) => {
    let hasBegun = false;
    events(async (event, { hold, signal }) => {
      if (stream.writableNeedDrain) await once(stream, "drain", { signal });
      const text = format(event);
      hold(Buffer.byteLength(text));
      hasBegun = true;
      stream.write(text);
      resolve(stream);
    }).then(
      () => {
        stream.end();
        // Without an event the answer begins with its end.
        resolve(stream);
      },
      (error: unknown) => {
        if (hasBegun) stream.end(format(onFailure(error)));
        else reject(toAppError(error));
      },
    );
  });
}

/** JSON has no line breaks of its own: one line of data. */
function format({ event, data }: ServerSentEvent): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
