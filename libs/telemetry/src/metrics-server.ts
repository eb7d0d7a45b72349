import { once } from "node:events";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Metrics } from "./metrics.js";

const HOST_AND_PORT = /^(?<host>.*):(?<port>\d{1,5})$/;

export interface MetricsServer {
  close(): Promise<void>;
}

/**
 * Serves `GET /metrics`, and nothing else, on `host:port` or `unix:/path`: for a process that has no HTTP of its own.
 * create: makes the server, where it is not to be plaintext.
 */
export async function startMetricsServer(address: string, metrics: Metrics, create: (listener: RequestListener) => Server = createServer): Promise<MetricsServer> {
  const server = create((request, response) => {
    if (request.method === "GET" && request.url === "/metrics") render(metrics, response);
    else response.writeHead(404).end();
  });
  const { host = "", port = "" } = HOST_AND_PORT.exec(address)?.groups ?? {};
  server.listen(address.startsWith("unix:") ? { path: address.slice("unix:".length) } : { host: host.replace(/^\[|\]$/g, ""), port: Number(port) });
  await once(server, "listening");
  // Nobody waits for the end of a process to read its metrics.
  server.unref();
  return {
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function render(metrics: Metrics, response: ServerResponse): void {
  metrics.render().then(
    (text) => response.writeHead(200, { "content-type": METRICS_CONTENT_TYPE }).end(text),
    () => response.writeHead(500).end(),
  );
}

export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
