import { PassThrough, type Readable } from "node:stream";
import { toAppError } from "@memseal/errors";

/** A server-sent event. Source: HTML Living Standard, 9.2. */
export interface ServerSentEvent {
  event: string;
  data: object;
}

/**
 * Events as they come, once the first is there: until then the answer may still be another. What fails before it rejects,
 * what fails after it ends the stream with the event `onFailure` makes of it.
 */
export function eventStream(events: (emit: (event: ServerSentEvent) => void) => Promise<void>, onFailure: (error: unknown) => ServerSentEvent): Promise<Readable> {
  const stream = new PassThrough();
  return new Promise((resolve, reject) => {
    let hasBegun = false;
    events((event) => {
      hasBegun = true;
      stream.write(format(event));
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
