import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as settled } from "node:timers/promises";
import { AssertionSigner, formatApiKey, generateApiKey, generateAssertionKeys, hashApiKeySecret, UserTokens } from "@memseal/auth";
import type { CreateTokenRequest } from "@memseal/contracts";
import type { ResolveKeyRequest, ResolveKeyResponse } from "@memseal/contracts/indexer";
import { SecretBytes, userHash } from "@memseal/crypto";
import { AppError, NotFoundError, RateLimitedError, UnauthenticatedError, UnavailableError } from "@memseal/errors";
import { Authenticator, requireDelegate, requireOwnUser, requireScope, requireUser, type Asker, type AuthenticatorParts } from "./authenticate.js";
import type { Call, Delegate, DelegateCall } from "./call.js";
import { CreateToken } from "./create-token.js";

const pepper = SecretBytes.of(Buffer.alloc(32, 7));
const tenantSecret = SecretBytes.of(Buffer.alloc(32, 8));
const tenant = userHash(tenantSecret, "ada");
const call: Call = { requestId: "r", deadlineMs: Infinity, signal: new AbortController().signal };
const key = generateApiKey();
const bearer = [`Bearer ${formatApiKey(key)}`];

const dir = mkdtempSync(join(tmpdir(), "memseal-authenticate-"));
afterAll(() => { rmSync(dir, { recursive: true }); });
const keyFile = (name: string) => {
  const file = join(dir, name);
  writeFileSync(file, generateAssertionKeys().privateKey);
  return file;
};
const gatewayKey = keyFile("gateway.key");
const userTokens = UserTokens.load(gatewayKey);

/** An indexer that knows one key, as it stands in `api_key` at the moment. */
class OneKey {
  answer: ResolveKeyResponse | undefined = { userHash: Buffer.from(tenant, "hex"), namespace: "default", scopes: ["read", "write"] };
  isAway = false;

  resolveKey(_: Call, { keyId, secretHash }: ResolveKeyRequest): Promise<ResolveKeyResponse> {
    if (this.isAway) return Promise.reject(new UnavailableError("away"));
    const isKnown = keyId === key.keyId && secretHash.equals(hashApiKeySecret(pepper, key.secret));
    return isKnown && this.answer ? Promise.resolve(this.answer) : Promise.reject(new NotFoundError("API key"));
  }
}

const anyone: Asker = { address: "192.0.2.1", beforeAsking: () => undefined };

/** No issuer is known unless given. */
function authenticatorOf(indexer: AuthenticatorParts["indexer"] = new OneKey(), jwts: AuthenticatorParts["jwts"] = { verify: () => Promise.reject(new UnauthenticatedError()) }, now?: () => number) {
  const authenticator = new Authenticator({ indexer, pepper, tenantSecret, userTokens, jwts }, now);
  return { authenticate: (one: Call, shown: readonly string[], asker = anyone) => authenticator.authenticate(one, shown, asker) };
}

describe("an API key", () => {
  it("stands for its user, in its namespace, with its scopes", async () => {
    await expect(authenticatorOf().authenticate(call, bearer)).resolves.toEqual({ tenant, namespace: "default", actor: `api-key ${key.keyId}`, scopes: ["read", "write"] });
  });

  it.each([[], [""], ["Bearer"], ["Bearer "], [formatApiKey(key)], [`Basic ${formatApiKey(key)}`], [`${bearer[0]} x`], ["Bearer msk_a_b"], [`Bearer ${formatApiKey(generateApiKey())}`], [...bearer, ...bearer], [...bearer, "Bearer x"], [`${bearer[0]}, ${bearer[0]}`]].map((shown) => [shown]))(
    "is refused as %j",
    async (authorization) => {
      await expect(authenticatorOf().authenticate(call, authorization)).rejects.toMatchObject({ code: "unauthenticated" });
    },
  );

  it("refuses a known key id with another secret, also after the right one was seen", async () => {
    const authenticator = authenticatorOf();
    await authenticator.authenticate(call, bearer);
    const forged = [`Bearer ${formatApiKey({ keyId: key.keyId, secret: generateApiKey().secret })}`];
    await expect(authenticator.authenticate(call, forged)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("that is bound to no user is refused, unless it is a delegate's", async () => {
    const indexer = new OneKey();
    indexer.answer = { namespace: "default", scopes: ["read"] };
    await expect(authenticatorOf(indexer).authenticate(call, bearer)).rejects.toMatchObject({ code: "permission_denied" });
    indexer.answer = { namespace: "shop", scopes: ["read", "delegate"] };
    await expect(authenticatorOf(indexer).authenticate(call, bearer)).resolves.toEqual({ tenant: undefined, namespace: "shop", actor: `api-key ${key.keyId}`, scopes: ["read", "delegate"], keyId: key.keyId });
  });

  it("remembers a key it found, and never one it did not", async () => {
    const indexer = new OneKey();
    const authenticator = authenticatorOf(indexer);
    const { answer } = indexer;
    indexer.answer = undefined;
    await expect(authenticator.authenticate(call, bearer)).rejects.toMatchObject({ code: "unauthenticated" });
    indexer.answer = answer;
    await expect(authenticator.authenticate(call, bearer)).resolves.toMatchObject({ tenant });
    indexer.isAway = true;
    await expect(authenticator.authenticate(call, bearer)).resolves.toMatchObject({ tenant });
  });

  it("works for no longer than 30 s after it was revoked, however often it is used", async () => {
    let now = 1_000;
    const indexer = new OneKey();
    const authenticator = authenticatorOf(indexer, undefined, () => now);
    await authenticator.authenticate(call, bearer);
    indexer.answer = undefined;
    for (now of [16_000, 31_000]) await expect(authenticator.authenticate(call, bearer)).resolves.toMatchObject({ tenant });
    now = 31_001;
    await expect(authenticator.authenticate(call, bearer)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("says that the indexer is away rather than that the key is bad", async () => {
    const indexer = new OneKey();
    indexer.isAway = true;
    await expect(authenticatorOf(indexer).authenticate(call, bearer)).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("the indexer", () => {
  /** One that answers when it is told to. */
  class Slow {
    readonly asked: Call[] = [];
    /** Says that the last key is there. */
    resolve: (answer: ResolveKeyResponse) => void = () => undefined;
    readonly #refusals: (() => void)[] = [];

    resolveKey(asking: Call): Promise<ResolveKeyResponse> {
      this.asked.push(asking);
      return new Promise((resolve, reject) => {
        this.resolve = resolve;
        this.#refusals.push(() => { reject(new NotFoundError("API key")); });
      });
    }

    /** Says that no other is. */
    refuse(): void {
      for (const refuse of this.#refusals.splice(0)) refuse();
    }
  }
  const found: ResolveKeyResponse = { userHash: Buffer.from(tenant, "hex"), namespace: "default", scopes: ["read"] };

  const ownCall = (): Call => ({ ...call, signal: new AbortController().signal });

  it("is asked once about a key, however many show it at once", async () => {
    const indexer = new Slow();
    const authenticator = authenticatorOf(indexer);
    const burst = Array.from({ length: 1_000 }, () => authenticator.authenticate(ownCall(), bearer));
    await settled();
    indexer.resolve(found);
    expect(new Set((await Promise.all(burst)).map((one) => one.tenant))).toEqual(new Set([tenant]));
    expect(indexer.asked).toHaveLength(1);
  });

  it("answers those who stay when the one leaves for whom it was asked, and stops when all have left", async () => {
    const indexer = new Slow();
    const authenticator = authenticatorOf(indexer);
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
    const [leaves, stays] = [first, second].map(({ signal }) => authenticator.authenticate({ ...call, signal }, bearer));
    await settled();
    first.abort(new AppError("cancelled", "left"));
    await expect(leaves).rejects.toMatchObject({ code: "cancelled" });
    expect(indexer.asked[0].signal.aborted).toBe(false);
    indexer.resolve(found);
    await expect(stays).resolves.toMatchObject({ tenant });
    const other = authenticator.authenticate({ ...call, signal: third.signal }, [`Bearer ${formatApiKey(generateApiKey())}`]);
    await settled();
    third.abort(new AppError("cancelled", "left"));
    await expect(other).rejects.toMatchObject({ code: "cancelled" });
    expect(indexer.asked[1].signal.aborted).toBe(true);
  });

  it("is asked again by who comes a second after a look-up that hangs", async () => {
    let now = 0;
    const indexer = new Slow();
    const authenticator = authenticatorOf(indexer, undefined, () => now);
    const hung = authenticator.authenticate(call, bearer);
    now = 1_000;
    const again = authenticator.authenticate(call, bearer);
    await settled();
    indexer.resolve(found);
    await expect(again).resolves.toMatchObject({ tenant });
    indexer.refuse();
    await expect(hung).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("is asked about few of the keys that one address guesses at once, and keeps nobody else waiting", async () => {
    const indexer = new Slow();
    const authenticator = authenticatorOf(indexer);
    let failed = 0;
    const beforeAsking = () => { if (failed > 0) throw new RateLimitedError("too many failed authentications", 1); };
    const guesses = Array.from({ length: 1_000 }, () => authenticator.authenticate(ownCall(), [`Bearer ${formatApiKey(generateApiKey())}`], { address: "192.0.2.7", beforeAsking }).catch((error: unknown) => {
      failed++;
      return (error as AppError).code;
    }));
    await settled();
    expect(indexer.asked).toHaveLength(100);
    const other = authenticator.authenticate(call, bearer);
    await settled();
    indexer.resolve(found);
    await expect(other).resolves.toMatchObject({ tenant });
    indexer.refuse();
    const codes = await Promise.all(guesses);
    expect([codes.filter((code) => code === "unauthenticated").length, codes.filter((code) => code === "resource_exhausted").length]).toEqual([100, 900]);
    expect(indexer.asked).toHaveLength(101);
  });
});

describe("a delegate key", () => {
  const delegate: Delegate = { tenant: undefined, namespace: "shop", actor: "api-key d", scopes: ["read", "write", "delegate"], keyId: "d" };
  let noted: string[] = [];
  let isAway = false;
  const indexer = {
    noteToken: ({ delegate: { actor } }: DelegateCall, tenantOfToken: string) => {
      if (isAway) return Promise.reject(new UnavailableError("away"));
      noted.push(`${actor} ${tenantOfToken}`);
      return Promise.resolve();
    },
  };
  const tokens = new CreateToken({ indexer, tenantSecret, userTokens });
  beforeEach(() => {
    noted = [];
    isAway = false;
  });
  const exchange = (request: Partial<CreateTokenRequest> = {}) => tokens.create({ ...call, delegate }, { userId: "42", scopes: ["read"], ttlS: 60, ...request });

  it("acts for no user itself", () => {
    expect(() => requireUser(delegate)).toThrow(/exchange it with POST \/v1\/tokens/);
    expect(requireDelegate(delegate)).toBe(delegate);
    expect(() => requireDelegate({ tenant, namespace: "default", actor: "a", scopes: ["delegate"] })).toThrow(/stands for a user/);
  });

  it("is exchanged for a token of exactly one user of its namespace, who is not named in it", async () => {
    const { token } = await exchange();
    const caller = await authenticatorOf().authenticate(call, [`Bearer ${token}`]);
    expect(caller).toEqual({ tenant: userHash(tenantSecret, "42", "shop"), namespace: "shop", actor: "token of api-key d", scopes: ["read"] });
    const { token: ada } = await exchange({ userId: "ada-lovelace" });
    expect(Buffer.from(ada.split(".")[1], "base64url").toString()).not.toContain("ada-lovelace");
    expect(() => { requireOwnUser(requireUser(caller), "42", { tenantSecret, onForeignUser: () => undefined }); }).not.toThrow();
    expect(() => requireDelegate(caller)).toThrow(/stands for a user/);
  });

  it("is given no token that the user's audit trail does not name it for", async () => {
    await exchange();
    expect(noted).toEqual([`api-key d ${userHash(tenantSecret, "42", "shop")}`]);
    isAway = true;
    await expect(exchange()).rejects.toMatchObject({ code: "unavailable" });
  });

  it("hands out no scope that it lacks", async () => {
    await expect(exchange({ scopes: ["read", "admin"] })).rejects.toMatchObject({ code: "permission_denied", message: expect.stringContaining("admin") as string });
    await expect(exchange({ scopes: ["delegate"] })).rejects.toMatchObject({ code: "invalid_argument", field: "scopes[0]" });
    await expect(exchange({ ttlS: 901 })).rejects.toMatchObject({ code: "invalid_argument", field: "ttl_s" });
    await expect(exchange({ userId: "\0\x04shop42" })).rejects.toMatchObject({ code: "invalid_argument", field: "user_id" });
    expect(noted).toEqual([]);
  });

  it("of another installation makes tokens that are worth nothing here, as is an assertion", async () => {
    const foreign = await UserTokens.load(keyFile("foreign.key")).sign({ tenant, namespace: "default", scopes: ["read"], keyId: "d" }, 60);
    const assertion = await AssertionSigner.load(gatewayKey).sign({ tenant, actor: "a", scopes: ["read"], method: "read" });
    for (const shown of [foreign.token, assertion]) await expect(authenticatorOf().authenticate(call, [`Bearer ${shown}`])).rejects.toMatchObject({ code: "unauthenticated" });
  });
});

describe("the same user id", () => {
  it("of two issuers, a key and a token never meets", async () => {
    const ofIssuer = (namespace: string) => authenticatorOf(new OneKey(), { verify: () => Promise.resolve({ namespace, userId: "ada", scopes: ["read"] }) }).authenticate(call, ["Bearer a.b.c"]);
    const { token } = await userTokens.sign({ tenant: userHash(tenantSecret, "ada", "backend"), namespace: "backend", scopes: ["read"], keyId: "d" }, 60);
    const credentials = [await ofIssuer("one"), await ofIssuer("two"), await authenticatorOf().authenticate(call, bearer), await authenticatorOf().authenticate(call, [`Bearer ${token}`])];
    expect(new Set(credentials.map((one) => one.tenant)).size).toBe(4);
    expect(credentials[0]).toMatchObject({ actor: "jwt of one", scopes: ["read"] });
  });
});

describe("a JWT", () => {
  it("of a user id that no request could name is refused, and the id is not repeated", async () => {
    const ofUser = (userId: string) => authenticatorOf(undefined, { verify: () => Promise.resolve({ namespace: "shop", userId, scopes: ["read"] }) }).authenticate(call, ["Bearer a.b.c"]);
    await expect(ofUser("😀".repeat(1_024))).resolves.toMatchObject({ namespace: "shop" });
    await expect(ofUser("😀".repeat(1_025))).rejects.toMatchObject({ code: "unauthenticated", message: "the user id in the token has more than 1024 characters" });
  });
});

describe("what a caller may do", () => {
  const caller = { tenant, namespace: "default", actor: "api-key test", scopes: ["read"] };

  it("is what its scopes say", () => {
    expect(() => { requireScope(caller, "read"); }).not.toThrow();
    expect(() => { requireScope(caller, "write"); }).toThrow(/lacks the scope write/);
  });

  it("is never to name another user, and naming itself changes nothing", () => {
    let foreign = 0;
    const parts = { tenantSecret, onForeignUser: () => { foreign++; } };
    expect(() => { requireOwnUser(caller, undefined, parts); }).not.toThrow();
    expect(() => { requireOwnUser(caller, "ada", parts); }).not.toThrow();
    expect(foreign).toBe(0);
    expect(() => { requireOwnUser(caller, "bob", parts); }).toThrow(/^(?!.*bob).*not the user of this credential/);
    expect(() => { requireOwnUser({ ...caller, namespace: "shop" }, "ada", parts); }).toThrow(/not the user/);
    expect(foreign).toBe(2);
  });
});
