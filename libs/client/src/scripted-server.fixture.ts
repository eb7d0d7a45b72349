import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

export type Reply = (response: ServerResponse, received: Received) => void;

/** A real HTTP server that answers what the test says and remembers what it was asked. */
export class ScriptedServer {
  readonly received: Received[] = [];
  /** One a request, in turn; the last one for all that follow. */
  replies: Reply[] = [];
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const received = { method: String(request.method), path: String(request.url), headers: request.headers, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
      const reply = this.replies[Math.min(this.received.push(received), this.replies.length) - 1];
      reply(response, received);
    });
  });

  static async start(): Promise<ScriptedServer> {
    const server = new ScriptedServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  forget(): void {
    this.received.length = 0;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Reply => (response) => {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
};

export const problem = (status: number, code: string, extra: Record<string, unknown> = {}, headers: Record<string, string> = {}): Reply =>
  json({ type: `urn:memseal:problem:${code}`, status, code, detail: `refused: ${code}`, request_id: "req-7", ...extra }, status, headers);

/** Breaks the connection before a word of an answer. */
export const breakOff: Reply = (response) => { response.destroy(); };

/** Breaks it in the middle of one. */
export const breakOffInBody: Reply = (response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
  response.write('{"results":', () => { response.destroy(); });
};

export const silence: Reply = () => undefined;
