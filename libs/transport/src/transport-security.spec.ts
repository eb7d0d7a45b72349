import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { Client, credentials, type MethodDefinition, type ServiceDefinition } from "@grpc/grpc-js";
import { Logger, Metrics } from "@memseal/telemetry";
import { Module } from "@nestjs/common";
import { service as health } from "grpc-health-check";
import { connect, unary } from "./grpc-client.js";
import { startGrpcService } from "./grpc-server.js";
import type { RunningService } from "./run-service.js";
import { createTestAuthority, freePort, type TestAuthority, type TestCertificate } from "./testing.js";
import { TransportSecurity } from "./transport-security.js";

@Module({})
class EmptyModule {}

const TestService: ServiceDefinition = {
  ping: {
    path: "/memseal.test.v1.TestService/Ping",
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: () => ({}),
    responseSerialize: () => Buffer.alloc(0),
    responseDeserialize: () => ({}),
  },
};
const check = health["Check"] as MethodDefinition<{ service: string }, { status: string }>;

let dir: string;
let authority: TestAuthority;
let foreign: TestAuthority;
let lines: string[];
const log = new Logger("test", (line) => lines.push(line));

beforeAll(async () => {
  [authority, foreign] = await Promise.all([createTestAuthority(), createTestAuthority()]);
});

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "memseal-tls-"));
  lines = [];
});
afterEach(() => { rmSync(dir, { recursive: true }); });

const open = (name: string, certificate: TestCertificate, of = authority) =>
  TransportSecurity.openPrivate({ ...of.install(dir, name, certificate), MEMSEAL_ALLOW_PLAINTEXT: false }, log);

/** A service under TLS, and what runs against it. */
async function withService<T>(security: TransportSecurity, run: (address: string) => Promise<T>, peerNames?: string[]): Promise<T> {
  const address = `127.0.0.1:${await freePort()}`;
  const service: RunningService = await startGrpcService({ module: EmptyModule }, {
    address, security, peerNames, packages: { "memseal.test.v1": { TestService } }, descriptors: [], log, metrics: new Metrics("stable"), metricsAddress: undefined,
  });
  try {
    return await run(address);
  } finally {
    await service.close();
  }
}

/** What a caller is told: SERVING, or the code of the refusal. */
async function ask(address: string, security: TransportSecurity, name?: string): Promise<string> {
  const client = connect(address, security, { name });
  try {
    return (await unary(client, check, { service: "" }, { peer: "service", deadlineMs: Date.now() + 5_000 })).status;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    client.close();
    security.close();
  }
}

/** What a caller is told that speaks TLS and shows nothing. */
function withoutCertificate(address: string): Promise<string> {
  const client = new Client(address, credentials.createSsl(Buffer.from(authority.cert)), { "grpc.ssl_target_name_override": "indexer" });
  return unary(client, check, { service: "" }, { peer: "service", deadlineMs: Date.now() + 5_000 })
    .then(({ status }) => status, (error: unknown) => (error as { code: string }).code)
    .finally(() => { client.close(); });
}

/** Of the certificate that is shown to a new connection. */
function shownBy(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port: Number(address.split(":")[1]), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()!.toString().trim());
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

async function until(event: string): Promise<void> {
  while (!lines.some((line) => line.includes(event))) await delay(50);
}

describe("a private service under TLS", () => {
  it("takes calls from certificates of its CA, and no others: none, a foreign CA's, an expired one", async () => {
    const server = open("server", await authority.issue("indexer"));
    await withService(server, async (address) => {
      expect(await ask(address, open("client", await authority.issue("gateway")))).toBe("SERVING");
      expect(await ask(address, TransportSecurity.LOOPBACK)).toBe("unavailable");
      expect(await withoutCertificate(address)).toBe("unavailable");
      // It trusts the server, as an attacker would.
      const foreignFiles = foreign.install(dir, "foreign", await foreign.issue("gateway"));
      writeFileSync(foreignFiles.MEMSEAL_TLS_CA_FILE, authority.cert);
      expect(await ask(address, TransportSecurity.openPrivate({ ...foreignFiles, MEMSEAL_ALLOW_PLAINTEXT: false }, log))).toBe("unavailable");
      const expiring = open("expiring", await authority.issue("gateway", 1_500));
      await delay(2_000);
      expect(await ask(address, expiring)).toBe("unavailable");
    });
  });

  it("takes calls from the names that may call, where they are given, and says so to others", async () => {
    await withService(open("server", await authority.issue("indexer")), async (address) => {
      expect(await ask(address, open("client", await authority.issue("gateway")))).toBe("SERVING");
      expect(await ask(address, open("other", await authority.issue("reranker")))).toBe("permission_denied");
      expect(await ask(address, open("longer", await authority.issue("gateway.example.com")))).toBe("permission_denied");
      expect(await ask(address, open("wild", await authority.issue("*")))).toBe("permission_denied");
    }, ["gateway", "gateway-2"]);
    await expect(withService(TransportSecurity.LOOPBACK, () => Promise.resolve(), ["gateway"])).rejects.toThrow("MEMSEAL_TLS_PEER_NAMES needs the certificates that callers show");
  });

  it("is called only while its certificate is of the caller's CA, in date, and for the name it is looked for under", async () => {
    const client = async () => open("client", await authority.issue("gateway"));
    await withService(open("server", await authority.issue("indexer")), async (address) => {
      expect(await ask(address, await client(), "indexer")).toBe("SERVING");
      expect(await ask(address, await client(), "reranker")).toBe("unavailable");
      expect(await ask(address, await client(), "127.0.0.2")).toBe("unavailable");
    });
    const foreignServer = foreign.install(dir, "foreign", await foreign.issue("indexer"));
    writeFileSync(foreignServer.MEMSEAL_TLS_CA_FILE, authority.cert);
    await withService(TransportSecurity.openPrivate({ ...foreignServer, MEMSEAL_ALLOW_PLAINTEXT: false }, log), async (address) => {
      expect(await ask(address, await client(), "indexer")).toBe("unavailable");
    });
    const expiring = open("expiring", await authority.issue("indexer", 1_500));
    await delay(2_000);
    await withService(expiring, async (address) => {
      expect(await ask(address, await client(), "indexer")).toBe("unavailable");
    });
  });

  it("shows new connections a new certificate, and keeps the old while the files cannot be used", async () => {
    const [first, second] = [await authority.issue("indexer"), await authority.issue("indexer")];
    await withService(open("server", first), async (address) => {
      expect(await shownBy(address)).toBe(first.cert);
      writeFileSync(join(dir, "server.crt"), "-----BEGIN CERTIFICATE-----\nbroken\n");
      await until("certificates not usable");
      expect(await shownBy(address)).toBe(first.cert);
      expect(lines.filter((line) => line.includes("not usable"))).toHaveLength(1);
      // One of the two is there already: they do not belong together yet.
      writeFileSync(join(dir, "server.crt"), second.cert);
      await until("do not belong together");
      expect(await shownBy(address)).toBe(first.cert);
      writeFileSync(join(dir, "server.key"), second.key);
      await until("certificates reloaded");
      expect(await shownBy(address)).toBe(second.cert);
      expect(await ask(address, open("client", await authority.issue("gateway")), "indexer")).toBe("SERVING");
      // The CA may change, too.
      writeFileSync(join(dir, "server.ca"), foreign.cert);
      while (lines.filter((line) => line.includes("reloaded")).length < 2) await delay(50);
      expect(await ask(address, open("client", await authority.issue("gateway")), "indexer")).toBe("unavailable");
    });
  });
});

describe("certificate files", () => {
  const variables = () => authority.install(dir, "server", current);
  let current: TestCertificate;
  beforeEach(async () => { current = await authority.issue("indexer"); });
  const refusal = (change: Record<string, string | undefined>) => () => TransportSecurity.openPrivate({ ...variables(), ...change, MEMSEAL_ALLOW_PLAINTEXT: false }, log);

  it("are refused when only some are named", () => {
    for (const name of ["MEMSEAL_TLS_CERT_FILE", "MEMSEAL_TLS_KEY_FILE", "MEMSEAL_TLS_CA_FILE"]) {
      expect(refusal({ [name]: undefined })).toThrow("MEMSEAL_TLS_CERT_FILE, MEMSEAL_TLS_KEY_FILE and MEMSEAL_TLS_CA_FILE go together");
    }
  });

  it("are refused when they are absent, no PEM, of two pairs, expired, or open to everybody", async () => {
    expect(refusal({ MEMSEAL_TLS_CA_FILE: join(dir, "absent") })).toThrow(`${join(dir, "absent")} cannot be read`);
    expect(refusal({ MEMSEAL_TLS_CERT_FILE: variables().MEMSEAL_TLS_KEY_FILE })).toThrow("server.key holds no certificate in PEM");
    expect(refusal({ MEMSEAL_TLS_KEY_FILE: variables().MEMSEAL_TLS_CERT_FILE })).toThrow("server.crt holds no private key in PEM");
    const other = authority.install(dir, "other", await authority.issue("indexer"));
    expect(refusal({ MEMSEAL_TLS_KEY_FILE: other.MEMSEAL_TLS_KEY_FILE })).toThrow("do not belong together");
    const expired = authority.install(dir, "expired", await authority.issue("indexer", -1_000));
    expect(refusal(expired)).toThrow(/expired\.crt has expired \(/);
    const open = () => TransportSecurity.openPrivate({ ...other, MEMSEAL_ALLOW_PLAINTEXT: false }, log);
    chmodSync(other.MEMSEAL_TLS_KEY_FILE, 0o604);
    expect(open).toThrow("open to every user of this machine: chmod 600 it");
  });
});

describe("plaintext", () => {
  const uses: [string, (security: TransportSecurity, address: string) => unknown][] = [
    ["a gRPC server", (security, address) => security.serverCredentials(address)],
    ["a channel", (security, address) => security.channel(address)],
    ["an HTTP server", (security, address) => security.httpServer(address)],
  ];

  it.each(uses)("of %s is refused where other machines can listen, and says what to do", (_name, use) => {
    expect(() => use(TransportSecurity.LOOPBACK, "10.0.0.1:7482")).toThrow(/^10\.0\.0\.1:7482 would be plaintext where other machines can listen: set MEMSEAL_TLS_CERT_FILE.*MEMSEAL_ALLOW_PLAINTEXT=true/);
    for (const address of ["127.0.0.1:7482", "[::1]:7482", "localhost:7482", "unix:/run/memseal/indexer.sock"]) use(TransportSecurity.LOOPBACK, address);
  });

  it.each(uses)("of %s is what an operator may allow", (_name, use) => {
    const allowed = TransportSecurity.openPrivate({ MEMSEAL_ALLOW_PLAINTEXT: true }, log);
    use(allowed, "0.0.0.0:7482");
  });
});
