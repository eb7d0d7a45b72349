import type { Http2SecureServer, Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";

/** What grpc-js listens with; its types keep it to themselves. */
interface Listening {
  http2Servers: ReadonlyMap<Http2Server | Http2SecureServer, unknown>;
}

/**
 * Gives handlers every `authorization` of a call as metadata, of a server that listens. Node leaves out all but the first, so that
 * a request with two would be answered by the first while whoever stands between may have looked at the other.
 * @throws Error where it listens nowhere
 */
export function showEveryAuthorization(server: Server): void {
  const { http2Servers } = server as unknown as Listening;
  if (http2Servers.size === 0) throw new Error("this gRPC server listens nowhere yet");
  for (const http2 of http2Servers.keys()) {
    // Before grpc-js's own listener, which makes metadata of the headers: of a list, a value each.
    http2.prependListener("stream", (_stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      const all = raw.filter((_value, i) => i % 2 === 1 && raw[i - 1] === "authorization");
      if (all.length > 1) Object.assign(headers, { authorization: all });
    });
  }
}
