import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, request as httpRequest, type Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { AssertionSigner, generateAssertionKeys, UserTokens } from "@memseal/auth";
import { parseUserHash } from "@memseal/crypto";
import { appScript, runToExit } from "@memseal/transport/testing";
import { exportJWK, SignJWT, type JWTPayload } from "jose";
import { grpcPathOf, TRANSPORTS, type Ask, type Gateway, type Json, type Transport } from "./gateway.js";
import { grpcStatusOf } from "./raw-grpc.js";
import { Stack } from "./stack.js";

const CLI = appScript("cli");
const NOW_S = Math.floor(Date.now() / 1_000);
/** One user id, which everybody uses for somebody else. */
const USER = "42";

const alpha = generateKeyPairSync("ed25519");
const beta = generateKeyPairSync("rsa", { modulusLength: 2048 });
const foreign = generateKeyPairSync("ed25519");
const betaPem = beta.publicKey.export({ type: "spki", format: "pem" }) as string;

interface JwtParts { key?: KeyObject; alg?: string; header?: object; claims?: JWTPayload; exp?: number | null }

/** As issuer alpha signs it, but for what is given. */
function jwt({ key = alpha.privateKey, alg = "EdDSA", header = { kid: "a1" }, claims = {}, exp = NOW_S + 600 }: JwtParts = {}): Promise<string> {
  return new SignJWT({ iss: "https://alpha.example", aud: "memseal", sub: USER, scope: "read write", ...(exp === null ? {} : { exp }), ...claims })
    .setProtectedHeader({ alg, ...header })
    .sign(key);
}
const betaJwt = () => jwt({ key: beta.privateKey, alg: "RS256", header: {}, claims: { iss: "https://beta.example" } });

let stack: Stack;
let gateway: Gateway;
/** With the same keys as the gateway, and rates that are soon used up. */
let replica: Gateway;
let jwks: Server;
let delegate: string;
const file = (name: string, content: string | object) => {
  const path = join(stack.database.dir, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
  return path;
};

beforeAll(async () => {
  stack = await Stack.start();
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(alpha.publicKey)), kid: "a1" }] });
  jwks = createServer((_request, response) => { response.end(keys); });
  await new Promise<void>((resolve) => jwks.listen(0, "127.0.0.1", resolve));
  file("beta.pem", betaPem);
  const common = { audience: "memseal", max_scopes: ["read", "write"] };
  const issuers = file("issuers.json", { issuers: [
    { ...common, issuer: "https://alpha.example", jwks_url: `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/keys`, namespace: "alpha" },
    { ...common, issuer: "https://beta.example", public_key_file: "beta.pem", namespace: "beta" },
    { ...common, issuer: "https://away.example", jwks_url: "http://127.0.0.1:1/keys", namespace: "away" },
  ] });
  [gateway, replica] = await Promise.all([
    stack.startGateway({ MEMSEAL_ISSUERS_FILE: issuers }),
    stack.startGateway({ MEMSEAL_RATES_CREDENTIAL: "read=1,write=1", MEMSEAL_RATE_FAILED_AUTH: "0.5" }),
  ]);
  delegate = await stack.createDelegateKey("shop");
});

afterAll(async () => {
  await stack.stop();
  await new Promise((resolve) => { jwks.close(resolve); });
});

const vector = [1, 2, 2];
const textsOf = (body: Json) => (body["results"] as { text: string }[]).map(({ text }) => text);
const tokenOf = async (userId: string, scopes = ["read", "write"]) => String((await gateway.ask("http", { method: "createToken", key: delegate, json: { user_id: userId, scopes, ttl_s: 60 } })).body["token"]);

describe.each(TRANSPORTS)("over %s", (transport) => {
  const ask = (key: string | undefined, request: Omit<Ask, "key">) => gateway.ask(transport, { ...request, key });
  const codeOf = async (key: string | undefined, request: Omit<Ask, "key"> = { method: "list" }) => (await ask(key, request)).code;

  it("a delegate key reads, writes and erases nothing", async () => {
    const id = "01900000-0000-7000-8000-000000000000";
    const calls: Omit<Ask, "key">[] = [
      { method: "add", json: { memories: [{ text: "x", vector }] } }, { method: "search", json: { query: "x" } }, { method: "searchStream", json: { query: "x" } },
      { method: "get", json: { id } }, { method: "list" }, { method: "listByBody" }, { method: "update", json: { id, text: "y" } }, { method: "history", json: { id } },
      { method: "delete", json: { id } }, { method: "deleteMany", json: { all: true } }, { method: "listAudit" }, { method: "erase" },
    ];
    for (const call of calls) expect({ call: call.method, code: await codeOf(delegate, call) }).toEqual({ call: call.method, code: "permission_denied" });
    expect((await ask(delegate, { method: "list" })).body["detail"]).toContain("POST /v1/tokens");
  });

  it("a token reads and writes one user, as far as it may, and makes no tokens", async () => {
    const [user, other] = [`ann-${transport}`, `ben-${transport}`];
    const made = await ask(delegate, { method: "createToken", json: { user_id: user, scopes: ["read", "write"], ttl_s: 900 } });
    expect(made).toMatchObject({ code: "ok", body: { token: expect.any(String) as string, expires_at: expect.any(String) as string } });
    const token = String(made.body["token"]);
    expect(Buffer.from(token.split(".")[1], "base64url").toString()).not.toContain(user);
    expect(await codeOf(token, { method: "add", json: { user_id: user, memories: [{ text: `of ${user}`, vector }] } })).toBe("ok");
    expect(textsOf((await ask(await tokenOf(user, ["read"]), { method: "list" })).body)).toEqual([`of ${user}`]);
    expect(textsOf((await ask(await tokenOf(other), { method: "list" })).body)).toEqual([]);
    expect(await codeOf(token, { method: "list", json: { user_id: other } })).toBe("permission_denied");
    expect(await codeOf(await tokenOf(user, ["read"]), { method: "add", json: { memories: [{ text: "x", vector }] } })).toBe("permission_denied");
    expect(await codeOf(token, { method: "createToken", json: { user_id: other, scopes: ["read"], ttl_s: 60 } })).toBe("permission_denied");
    // It needs no gateway that made it.
    expect((await replica.ask(transport, { method: "list", key: token })).code).toBe("ok");
  });

  it("each exchange for a token is in the audit trail of its user, once there is one", async () => {
    const [admin, user] = [await stack.createDelegateKey("shop", ["write", "admin"]), `cay-${transport}`];
    const exchange = async () => String((await ask(admin, { method: "createToken", json: { user_id: user, scopes: ["write", "admin"], ttl_s: 60 } })).body["token"]);
    const token = await exchange();
    expect(await codeOf(token, { method: "add", json: { memories: [{ text: "x", vector }] } })).toBe("ok");
    await exchange();
    const { body } = await ask(token, { method: "listAudit" });
    expect((body["results"] as { action: string }[]).map(({ action }) => action)).toEqual(["token", "add"]);
  });

  it("a delegate key hands out no scope that it lacks, for no longer than 900 s, and to no odd name", async () => {
    const exchange = (json: Json) => ask(delegate, { method: "createToken", json: { user_id: "ann", scopes: ["read"], ttl_s: 60, ...json } });
    expect(await exchange({ scopes: ["admin"] })).toMatchObject({ code: "permission_denied" });
    expect(await exchange({ scopes: ["delegate"] })).toMatchObject({ code: "invalid_argument", field: "scopes[0]" });
    expect(await exchange({ ttl_s: 901 })).toMatchObject({ code: "invalid_argument", field: "ttl_s" });
    expect(await exchange({ user_id: "\0\x04shop42" })).toMatchObject({ code: "invalid_argument", field: "user_id" });
    expect(await codeOf(await stack.createKey("ann"), { method: "createToken", json: { user_id: "ann", scopes: ["read"], ttl_s: 60 } })).toBe("permission_denied");
  });

  it("the same user id of two issuers, a delegate and a key never meets", async () => {
    const mine = `of ${transport}`;
    const credentials: Record<string, string> = { alpha: await jwt(), beta: await betaJwt(), shop: await tokenOf(USER), default: await stack.createKey(USER) };
    for (const [name, key] of Object.entries(credentials)) expect(await codeOf(key, { method: "add", json: { user_id: USER, memories: [{ text: `${mine}, ${name}`, vector }] } })).toBe("ok");
    for (const [name, key] of Object.entries(credentials)) {
      const texts = textsOf((await ask(key, { method: "list" })).body);
      expect(texts).toContain(`${mine}, ${name}`);
      expect(texts.filter((text) => !text.endsWith(`, ${name}`))).toEqual([]);
    }
  });

  it("refuses each JWT that is not exactly its issuer's for this service", async () => {
    const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const betaClaims = encoded({ iss: "https://beta.example", aud: "memseal", sub: USER, scope: "read", exp: NOW_S + 600 });
    const hmac = `${encoded({ alg: "HS256" })}.${betaClaims}`;
    const jwk = await exportJWK(foreign.publicKey);
    const shown: Record<string, string> = {
      "alg none": `${encoded({ alg: "none" })}.${betaClaims}.`,
      "HS256 under the public key": `${hmac}.${createHmac("sha256", betaPem).update(hmac).digest("base64url")}`,
      "another key": await jwt({ key: foreign.privateKey }),
      "the key of another issuer": await jwt({ key: beta.privateKey, alg: "RS256" }),
      "a kid that nobody has": await jwt({ header: { kid: "a2" } }),
      "a kid that is a path": await jwt({ header: { kid: "../../beta.pem" } }),
      "a kid that is SQL": await jwt({ header: { kid: "a1' OR '1'='1" } }),
      "jku": await jwt({ key: foreign.privateKey, header: { kid: "a1", jku: "http://127.0.0.1:1/keys" } }),
      "jku beside a good signature": await jwt({ header: { kid: "a1", jku: "http://127.0.0.1:1/keys" } }),
      "jwk": await jwt({ key: foreign.privateKey, header: { kid: "a1", jwk } }),
      "no exp": await jwt({ exp: null }),
      "expired": await jwt({ exp: NOW_S - 30 }),
      "nbf to come": await jwt({ claims: { nbf: NOW_S + 600 } }),
      "no aud": await jwt({ claims: { aud: undefined } }),
      "another aud": await jwt({ claims: { aud: "elsewhere" } }),
      "no iss": await jwt({ claims: { iss: undefined } }),
      "another iss": await jwt({ claims: { iss: "https://gamma.example" } }),
      "a sub with NUL": await jwt({ claims: { sub: "\0\x05alpha42" } }),
      "nothing like a JWT": "a.b.c",
    };
    expect(await codeOf(await jwt())).toBe("ok");
    for (const [what, token] of Object.entries(shown)) expect({ what, code: await codeOf(token) }).toEqual({ what, code: "unauthenticated" });
    expect(await codeOf(await jwt({ claims: { scope: "read" } }), { method: "add", json: { memories: [{ text: "x", vector }] } })).toBe("permission_denied");
    expect(await codeOf(await jwt({ claims: { scope: "read write admin" } }), { method: "listAudit" })).toBe("permission_denied");
  });

  it("is unavailable, and says when to come again, to a JWT whose issuer's keys cannot be fetched", async () => {
    expect(await ask(await jwt({ claims: { iss: "https://away.example" } }), { method: "list" })).toMatchObject({ code: "unavailable", retryAfter: "5" });
    expect(await codeOf(await betaJwt())).toBe("ok");
  });

  it("takes no assertion for a token, and no token of a gateway that it does not know", async () => {
    const tenant = parseUserHash("ab".repeat(32));
    const assertion = await AssertionSigner.load(stack.gatewayFiles["MEMSEAL_ASSERTION_KEY_FILE"]).sign({ tenant, actor: "a", scopes: ["read"], method: "read" });
    const { token } = await UserTokens.load(file("foreign.key", generateAssertionKeys().privateKey)).sign({ tenant, namespace: "shop", scopes: ["read"], keyId: "abcdefghijkl" }, 60);
    for (const shown of [assertion, token]) expect(await codeOf(shown)).toBe("unauthenticated");
  });

  it("learns whose a call is from the credential, and from nothing else that is sent", async () => {
    const [ann, ben] = [await stack.createKey(`ann-of-${transport}`), await stack.createKey(`ben-of-${transport}`)];
    await ask(ben, { method: "add", json: { memories: [{ text: "Ben's", vector }] } });
    const assertion = await AssertionSigner.load(stack.gatewayFiles["MEMSEAL_ASSERTION_KEY_FILE"]).sign({ tenant: parseUserHash("ab".repeat(32)), actor: "a", scopes: ["read"], method: "read" });
    const headers = { "x-user-id": `ben-of-${transport}`, "x-tenant": `ben-of-${transport}`, "user-id": "ben", "memseal-assertion": assertion, "x-api-key": ben };
    expect(await ask(ann, { method: "list", headers })).toMatchObject({ code: "ok", body: { results: [] } });
    expect(await codeOf(undefined, { method: "list", headers })).toBe("unauthenticated");
  });

  it("stops looking up the keys of an address that fails too often", async () => {
    const known = await stack.createKey(`known-${transport}`);
    const asked = () => replica.ask(transport, { method: "list", key: known });
    let first = await asked();
    // Over the other transport this address has failed too often a moment ago.
    for (const until = Date.now() + 10_000; first.code === "resource_exhausted" && Date.now() < until; first = await asked()) await delay(200);
    expect(first.code).toBe("ok");
    let last;
    for (let i = 0; i < 4; i++) last = await replica.ask(transport, { method: "list", key: `msk_aaaaaaaaaaaa_${String(i).repeat(43)}` });
    expect(last).toMatchObject({ code: "resource_exhausted", retryAfter: expect.stringMatching(/^[12]$/) as string });
    expect((await replica.ask(transport, { method: "list", key: known })).code).toBe("ok");
  });

  it("refuses a credential that asks more often than it may, and says when to come again", async () => {
    const jwtless = await tokenOf(`busy-${transport}`);
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await replica.ask(transport, { method: "list", key: jwtless }));
    expect(answers[0].code).toBe("ok");
    expect(answers.at(-1)).toMatchObject({ code: "resource_exhausted", retryAfter: "1" });
  });
});

describe("over HTTP alone", () => {
  it("a 401 names the scheme, and every answer to a known caller its rate", async () => {
    const unknown = await gateway.fetch("/v1/memories");
    expect([unknown.status, unknown.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    const known = await gateway.fetch("/v1/memories", { headers: { authorization: `Bearer ${await tokenOf("ann")}` } });
    expect([known.headers.get("ratelimit-policy"), known.headers.get("ratelimit")]).toEqual(['"read";q=1000;w=2', expect.stringMatching(/^"read";r=\d+;t=\d+$/)]);
  });

  it("two authorizations are refused, whichever of them is good", async () => {
    const good = `Bearer ${await tokenOf("ann")}`;
    const statusOf = (authorization: string[]) => new Promise<number | undefined>((resolve, reject) => {
      const [host, port] = gateway.http.split(":");
      const sent = httpRequest({ host, port, path: "/v1/memories" }, (response) => { response.resume(); resolve(response.statusCode); });
      sent.setHeader("authorization", authorization);
      sent.on("error", reject).end();
    });
    expect(await statusOf([good])).toBe(200);
    for (const both of [[good, "Bearer x"], ["Bearer x", good], [good, good]]) expect(await statusOf(both)).toBe(401);
    // Node's own client would leave out the last of so many, as its server did.
    const many = `GET /v1/memories HTTP/1.1\r\nhost: gate\r\nauthorization: ${good}\r\n${"a:\r\n".repeat(2_500)}authorization: Bearer x\r\nconnection: close\r\n\r\n`;
    const [host, port] = gateway.http.split(":");
    const socket = connect(Number(port), host);
    socket.write(many);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 401 /);
  });
});

it("two authorizations over gRPC are refused, whichever of them is good", async () => {
  const good = `Bearer ${await tokenOf("ann")}`;
  const statusOf = (...authorization: string[]) => grpcStatusOf(gateway.grpc, grpcPathOf("list"), authorization.map((value) => ["authorization", value] as const));
  expect(await statusOf(good)).toBe(String(status.OK));
  expect(await statusOf()).toBe(String(status.UNAUTHENTICATED));
  for (const both of [[good, "Bearer x"], ["Bearer x", good], [good, good]]) expect({ both: both.indexOf(good), status: await statusOf(...both) }).toEqual({ both: both.indexOf(good), status: String(status.UNAUTHENTICATED) });
});

it("metadata that ends in -bin is no credential", async () => {
  expect((await gateway.ask("grpc", { method: "list", headers: {} })).code).toBe("unauthenticated");
  const bytes = Buffer.from(`Bearer ${await tokenOf("ann")}`) as unknown as string;
  expect((await gateway.ask("grpc", { method: "list", headers: { "authorization-bin": bytes } })).code).toBe("unauthenticated");
});

it.each<Transport>(["http", "grpc"])("a key that was revoked before is refused over %s", async (transport) => {
  const key = await stack.createKey(`gone-${transport}`);
  await stack.revokeKey(key);
  expect((await gateway.ask(transport, { method: "list", key })).code).toBe("unauthenticated");
});

it("`memseal token` exchanges a delegate key through the API", async () => {
  const { code, lines } = await runToExit(CLI, { MEMSEAL_API_KEY: delegate, MEMSEAL_URL: `http://${gateway.http}` }, ["token", "--user", "ann", "--scopes", "read", "--ttl", "60", "--json"]);
  expect(code).toBe(0);
  const { token } = JSON.parse(lines[0]) as { token: string };
  expect((await gateway.ask("http", { method: "list", key: token })).code).toBe("ok");
  const refused = await runToExit(CLI, { MEMSEAL_API_KEY: token, MEMSEAL_URL: `http://${gateway.http}` }, ["token", "--user", "ben"]);
  expect([refused.code, refused.lines[0]]).toEqual([1, expect.stringContaining("tokens are made with a delegate key")]);
});
