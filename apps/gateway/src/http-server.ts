import { finished } from "node:stream/promises";
import { Stream } from "node:stream";
import type { ServerOptions, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TlsOptions } from "node:tls";
import { InvalidArgumentError } from "@memseal/errors";
import { connectionFaultOf, failureOf, MAX_MESSAGE_BYTES, problemOf, REQUEST_ID_KEY, requestIdFrom, type HttpErrorFilter } from "@memseal/transport";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { errorCodes, type FastifyRequest, type FastifyServerOptions } from "fastify";
import { LONGEST_STREAM_MS } from "./admission.js";
import type { Drain } from "./drain.js";
import type { GatewayMetrics, Method } from "./gateway-metrics.js";
import { decodeUtf8 } from "./strict-utf8.js";

/** How much of a body that is too large is read and dropped. */
const DISCARD_BYTES = 8 * MAX_MESSAGE_BYTES;

/** How long the head of a request may take: it is one packet or two. */
const HEAD_TIMEOUT_MS = 10_000;
/** How often connections are looked at for requests that take too long to arrive. */
const CHECK_INTERVAL_MS = 1_000;
/** How long a connection may be kept without a request: longer than proxies keep theirs, so that they close first. */
const KEEP_ALIVE_MS = 72_000;

/** A JSON merge patch. Source: RFC 7396. */
const MERGE_PATCH = "application/merge-patch+json";

const METHODS: Readonly<Record<string, Method | "other">> = {
  "POST /v1/memories": "add",
  "POST /v1/memories/search": "search",
  "POST /v1/memories/search/stream": "search_stream",
  "GET /v1/memories": "list",
  "POST /v1/memories/list": "list",
  "POST /v1/memories/delete": "delete_many",
  "GET /v1/memories/:id": "get",
  "PATCH /v1/memories/:id": "update",
  "DELETE /v1/memories/:id": "delete",
  "GET /v1/memories/:id/history": "history",
  "GET /v1/audit": "list_audit",
  "POST /v1/erasures": "erase",
  "GET /v1/erasures/:id": "get_erasure",
  "POST /v1/rerank": "rerank",
  "POST /v2/rerank": "rerank",
  "POST /v1/tokens": "create_token",
};

export interface HttpServerSpec {
  /** How long a whole request may take to arrive, and a whole answer to be taken. */
  receiveTimeoutMs: number;
  /** Options of TLS; plaintext without. */
  https?: TlsOptions | undefined;
}

/** Fastify that takes JSON alone, names each request, waits for none for ever, and answers every fault with a problem document. */
export function createHttpServer(filter: HttpErrorFilter, { receiveTimeoutMs, https }: HttpServerSpec): FastifyAdapter {
  const node: ServerOptions = {
    headersTimeout: Math.min(HEAD_TIMEOUT_MS, receiveTimeoutMs),
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    // Node's own refusal has no body.
    requireHostHeader: false,
  };
  const options: FastifyServerOptions & { https?: TlsOptions; http?: ServerOptions } = {
    ...(https ? { https: { ...https, ...node } } : { http: node }),
    bodyLimit: MAX_MESSAGE_BYTES,
    requestTimeout: receiveTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    clientErrorHandler: answerClientError,
    // A request that arrives while the gateway stops is answered like any other.
    return503OnClosing: false,
    genReqId: ({ headers }) => requestIdFrom(headers[REQUEST_ID_KEY]),
    frameworkErrors: (error, request, reply) => { filter.answer(error, request, reply); },
  };
  const adapter = new FastifyAdapter(options);
  adapter.getInstance().addHook("onSend", (request, reply, payload, done) => {
    cutOffUnlessTaken(request.raw.socket, reply.raw, payload instanceof Stream ? LONGEST_STREAM_MS + receiveTimeoutMs : receiveTimeoutMs);
    done();
  });
  return adapter;
}

/** A client that asks and does not read would have its answer kept for as long as it likes. */
function cutOffUnlessTaken(socket: Socket, answer: ServerResponse, withinMs: number): void {
  const timer = setTimeout(() => { socket.destroy(); }, withinMs);
  answer.once("close", () => { clearTimeout(timer); });
}

/** What is no HTTP, or takes too long to become it: there is no request yet that could be answered, and none may follow on that connection. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const fault = connectionFaultOf(error.code);
  const requestId = requestIdFrom(undefined);
  const body = JSON.stringify(problemOf(fault, requestId));
  const head = [
    `HTTP/1.1 ${fault.status} ${fault.title}`, "content-type: application/problem+json", `content-length: ${Buffer.byteLength(body)}`,
    `${REQUEST_ID_KEY}: ${requestId}`, "cache-control: no-store", "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => { socket.destroy(); });
}

/** Hooks and parsers, which Nest allows only once the application exists. */
export function prepareHttpServer(adapter: FastifyAdapter, metrics: GatewayMetrics, drain: Drain): void {
  const server = adapter.getInstance();
  // Node leaves out what comes after 2,000 headers, another Authorization among them. Their bytes are bounded.
  server.server.maxHeadersCount = 0;
  server.removeAllContentTypeParsers();
  // A member named __proto__ is refused; `constructor` is data like any other.
  const parseJson = server.getDefaultJsonParser("error", "ignore");
  server.addContentTypeParser(["application/json", MERGE_PATCH], { parseAs: "buffer" }, (request, bytes, done) => {
    const body = textOf(bytes as Buffer);
    if (body === undefined) done(new errorCodes.FST_ERR_CTP_INVALID_JSON_BODY());
    else if (request.method !== "PATCH" && request.headers["content-type"]?.toLowerCase().startsWith(MERGE_PATCH) === true) done(new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE());
    // Clients send the content type with an empty DELETE, too.
    else if (body === "") done(null, undefined);
    else void parseJson(request, body, done);
  });
  // Whoever expects more than 100-continue may be answered as if it had not said so (RFC 9110, 10.1.1); Node's refusal has no body.
  server.server.on("checkExpectation", (request, response) => server.server.emit("request", request, response));
  server.addHook("onRequest", (request, reply, done) => {
    void reply.headers({ [REQUEST_ID_KEY]: request.id, "cache-control": "no-store" });
    const hasHost = request.headers.host !== undefined || request.raw.httpVersion === "1.0";
    done(hasHost ? undefined : new InvalidArgumentError("host", "must be sent"));
  });
  // A connection that is kept could be closed under the next request. When the server closes, one with a request in flight would hold it open.
  server.addHook("onSend", (_request, reply, _payload, done) => {
    if (drain.isDraining) void reply.header("connection", "close");
    done();
  });
  server.addHook("preParsing", async (request, _reply, body) => {
    // Unpacked, a body could be a thousand times as large as what was sent.
    if ((request.headers["content-encoding"] ?? "identity").toLowerCase() !== "identity") throw new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE();
    const bytes = Number(request.headers["content-length"] ?? 0);
    if (bytes <= MAX_MESSAGE_BYTES || bytes > DISCARD_BYTES) return body;
    // A client that is still sending would see its connection break before it reads the answer. One that leaves needs none.
    await finished(body.resume()).catch(() => undefined);
    throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE();
  });
  server.addHook("onResponse", (request, reply, done) => {
    const method = methodOf(request);
    if (method !== undefined) {
      metrics.answered({ transport: "http", method, code: failureOf(reply) ?? "ok", requestId: request.id, durationMs: reply.elapsedTime });
    }
    done();
  });
}

/** undefined for what is not UTF-8. */
function textOf(bytes: Buffer): string | undefined {
  try {
    return decodeUtf8(bytes);
  } catch {
    return undefined;
  }
}

/** undefined for probes and scrapes, which are not requests of callers. */
function methodOf({ method, routeOptions: { url } }: FastifyRequest): Method | "other" | undefined {
  if (url === undefined) return "other";
  // Asked for its head, a route does all its work.
  return METHODS[`${method === "HEAD" ? "GET" : method} ${url}`];
}
