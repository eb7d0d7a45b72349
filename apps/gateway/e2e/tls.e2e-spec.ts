import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { Client, credentials, type MethodDefinition } from "@grpc/grpc-js";
import { MemoryServiceService } from "@memseal/contracts";
import { IndexerServiceService } from "@memseal/contracts/indexer";
import { RerankerService } from "@memseal/contracts/reranker";
import { unary } from "@memseal/transport";
import { appScript, createTestAuthority, runToExit, type TestAuthority, type TestCertificate } from "@memseal/transport/testing";
import { service as health } from "grpc-health-check";
import type { Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

const RERANKER = appScript("reranker");
const GATEWAY = appScript("gateway");
const check = health["Check"] as MethodDefinition<{ service: string }, { status: string }>;

let dir: string;
let authority: TestAuthority;
let foreign: TestAuthority;
let stack: Stack;
let gateway: Gateway;
let key: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "memseal-tls-"));
  [authority, foreign] = await Promise.all([createTestAuthority(), createTestAuthority()]);
  const service = async (name: string) => ({ ...authority.install(dir, name, await authority.issue(name)), MEMSEAL_TLS_PEER_NAMES: "gateway" });
  const callers = foreign.install(dir, "public", await foreign.issue("memseal.example.com"));
  stack = await Stack.start({
    indexer: await service("indexer"),
    reranker: await service("reranker"),
    gateway: {
      ...authority.install(dir, "gateway", await authority.issue("gateway")),
      MEMSEAL_PUBLIC_TLS_CERT_FILE: callers.MEMSEAL_TLS_CERT_FILE,
      MEMSEAL_PUBLIC_TLS_KEY_FILE: callers.MEMSEAL_TLS_KEY_FILE,
    },
  });
  gateway = await stack.startGateway();
  key = await stack.createKey("ada");
});

afterAll(async () => {
  await stack.stop();
  rmSync(dir, { recursive: true });
});

/** What HTTPS answers, for whom its certificate is right. */
function overHttps(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const [host, port] = gateway.http.split(":");
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, method, path, ca: foreign.cert, servername: "memseal.example.com", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => { text += part; }).once("end", () => { resolve({ status: response.statusCode!, body: JSON.parse(text) as Record<string, unknown> }); });
    });
    sent.once("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** What a service says to who shows `shown`: SERVING, or a code. */
async function ask(address: string, name: string, shown?: TestCertificate): Promise<string> {
  const client = new Client(address, credentials.createSsl(Buffer.from(authority.cert), shown && Buffer.from(shown.key), shown && Buffer.from(shown.cert)), { "grpc.ssl_target_name_override": name });
  return askOver(client);
}

async function askOver(client: Client): Promise<string> {
  try {
    return (await unary(client, check, { service: "" }, { peer: "service", deadlineMs: Date.now() + 5_000 })).status;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    client.close();
  }
}

function shownBy(address: string, own?: TestCertificate): Promise<string> {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ...own }, () => {
      resolve(socket.getPeerX509Certificate()!.toString().trim());
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

describe("with certificates everywhere", () => {
  it("a memory is added and found over HTTPS, and over gRPC under TLS, through every hop", async () => {
    expect((await overHttps("POST", "/v1/memories", { memories: [{ text: "The key is under the mat." }] })).status).toBe(201);
    const found = await overHttps("POST", "/v1/memories/search", { query: "Where is the key?" });
    expect(found.body).toMatchObject({ dense: true, reranked: true, total_matching: 1 });
    expect((await overHttps("GET", "/readyz")).status).toBe(200);
    const client = new Client(gateway.grpc, credentials.createSsl(Buffer.from(foreign.cert)), { "grpc.ssl_target_name_override": "memseal.example.com" });
    const { results } = await unary(client, MemoryServiceService.list, { limit: undefined, cursor: undefined, userId: undefined, filters: undefined }, {
      peer: "gateway", deadlineMs: Date.now() + 5_000, metadata: { authorization: `Bearer ${key}` },
    });
    client.close();
    expect(results.map(({ text }) => text)).toEqual(["The key is under the mat."]);
  });

  it("nothing is plaintext: neither face of the gateway, nor a service, nor its metrics", async () => {
    await expect(fetch(`http://${gateway.http}/healthz`)).rejects.toThrow();
    const { indexer, reranker, indexerMetrics, rerankerMetrics } = stack.addresses;
    for (const address of [gateway.grpc, indexer, reranker]) expect(await askOver(new Client(address, credentials.createInsecure()))).toBe("unavailable");
    for (const address of [indexerMetrics, rerankerMetrics]) await expect(fetch(`http://${address}/metrics`)).rejects.toThrow();
  });

  it.each(["indexer", "reranker"] as const)("an attack on the %s with no certificate, a foreign CA's, an expired one or one of another name is refused", async (name) => {
    const address = stack.addresses[name];
    expect(await ask(address, name, await authority.issue("gateway"))).toBe("SERVING");
    expect(await ask(address, name)).toBe("unavailable");
    expect(await ask(address, name, await foreign.issue("gateway"))).toBe("unavailable");
    expect(await ask(address, name, await authority.issue("gateway", -1_000))).toBe("unavailable");
    expect(await ask(address, name, await authority.issue("intern"))).toBe("permission_denied");
    const client = new Client(address, credentials.createSsl(Buffer.from(authority.cert), ...pair(await authority.issue("intern"))), { "grpc.ssl_target_name_override": name });
    const options = { peer: name, deadlineMs: Date.now() + 5_000 };
    const call = name === "indexer" ? unary(client, IndexerServiceService.resolveKey, { keyId: "a", secretHash: Buffer.alloc(32) }, options) : unary(client, RerankerService.rerank, { query: "a", passages: ["b"] }, options);
    await expect(call).rejects.toMatchObject({ code: "permission_denied" });
    client.close();
  });

  it("a gateway does not speak to services whose certificate is a foreign CA's", async () => {
    const files = authority.install(dir, "misled", await authority.issue("gateway"));
    writeFileSync(files.MEMSEAL_TLS_CA_FILE, foreign.cert);
    const misled = await stack.startGateway(files);
    const [host, port] = misled.http.split(":");
    const status = await new Promise((resolve) => { request({ host, port, path: "/readyz", rejectUnauthorized: false }, ({ statusCode }) => { resolve(statusCode); }).end(); });
    expect(status).toBe(503);
    await misled.stop();
  });

  it("new certificates are shown to new connections without a restart, on both faces and on private hops, and calls go on", async () => {
    const client = await authority.issue("gateway");
    const [callers, indexer] = [await foreign.issue("memseal.example.com"), await authority.issue("indexer")];
    foreign.install(dir, "public", callers);
    authority.install(dir, "indexer", indexer);
    for (const [address, { cert }] of [[gateway.http, callers], [gateway.grpc, callers], [stack.addresses.indexer, indexer]] as const) {
      while (await shownBy(address, client) !== cert) await delay(100);
    }
    expect((await overHttps("POST", "/v1/memories/search", { query: "key" })).body).toMatchObject({ total_matching: 1 });
  });
});

describe("plaintext where other machines can listen", () => {
  it("refuses to start in one line, for listeners and for services looked for elsewhere", async () => {
    const refused = await runToExit(RERANKER, { MEMSEAL_RERANKER_ADDRESS: "0.0.0.0:0" }, ["--serve", "rerank"]);
    expect(refused.code).toBe(1);
    expect(refused.lines.filter((line) => line.includes('"event":"cannot start"'))).toEqual([expect.stringContaining("0.0.0.0:0 would be plaintext where other machines can listen: set MEMSEAL_TLS_CERT_FILE")]);
    const files = stack.gatewayFiles;
    const changes: Record<string, string>[] = [{ MEMSEAL_HTTP_ADDRESS: "0.0.0.0:0" }, { MEMSEAL_GRPC_ADDRESS: "[::]:0" }, { MEMSEAL_INDEXER_ADDRESS: "10.0.0.1:7482" }, { MEMSEAL_RERANKER_ADDRESS: "reranker:7483" }];
    for (const change of changes) {
      const { code, lines } = await runToExit(GATEWAY, { ...files, MEMSEAL_INDEXER_ADDRESS: "127.0.0.1:1", MEMSEAL_RERANKER_ADDRESS: "127.0.0.1:1", ...change });
      expect([code, lines.length]).toEqual([1, 1]);
      expect(lines[0]).toContain("would be plaintext where other machines can listen");
    }
  });
});

it("a gateway whose gRPC port is in use says so in one line", async () => {
  const { code, lines } = await runToExit(GATEWAY, {
    ...stack.gatewayFiles, MEMSEAL_INDEXER_ADDRESS: "127.0.0.1:1", MEMSEAL_RERANKER_ADDRESS: "127.0.0.1:1", MEMSEAL_HTTP_ADDRESS: "127.0.0.1:0", MEMSEAL_GRPC_ADDRESS: gateway.grpc,
  });
  expect([code, lines.length]).toEqual([1, 1]);
  expect(lines[0]).toContain(`"reason":"${gateway.grpc} is in use: stop what listens there, or choose another address"`);
});

function pair({ key: privateKey, cert }: TestCertificate): [Buffer, Buffer] {
  return [Buffer.from(privateKey), Buffer.from(cert)];
}
