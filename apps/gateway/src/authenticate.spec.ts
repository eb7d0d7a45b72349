import { formatApiKey, generateApiKey, hashApiKeySecret } from "@memseal/auth";
import type { ResolveKeyRequest, ResolveKeyResponse } from "@memseal/contracts/indexer";
import { SecretBytes, userHash } from "@memseal/crypto";
import { NotFoundError, UnavailableError } from "@memseal/errors";
import { Authenticator, requireOwnUser, requireScope } from "./authenticate.js";
import type { Call } from "./call.js";

const pepper = SecretBytes.of(Buffer.alloc(32, 7));
const tenantSecret = SecretBytes.of(Buffer.alloc(32, 8));
const tenant = userHash(tenantSecret, "ada");
const call: Call = { requestId: "r", deadlineMs: Infinity, signal: new AbortController().signal };
const key = generateApiKey();
const bearer = `Bearer ${formatApiKey(key)}`;

/** An indexer that knows one key, as it stands in `api_key` at the moment. */
class OneKey {
  answer: ResolveKeyResponse | undefined = { userHash: Buffer.from(tenant, "hex"), namespace: "", scopes: ["read", "write"] };
  isAway = false;

  resolveKey(_: Call, { keyId, secretHash }: ResolveKeyRequest): Promise<ResolveKeyResponse> {
    if (this.isAway) return Promise.reject(new UnavailableError("away"));
    const isKnown = keyId === key.keyId && secretHash.equals(hashApiKeySecret(pepper, key.secret));
    return isKnown && this.answer ? Promise.resolve(this.answer) : Promise.reject(new NotFoundError("API key"));
  }
}

describe("Authenticator", () => {
  it("knows the tenant and the scopes of a valid key", async () => {
    await expect(new Authenticator(new OneKey(), pepper).authenticate(call, bearer)).resolves.toEqual({ tenant, actor: `api-key ${key.keyId}`, scopes: ["read", "write"] });
  });

  it.each([undefined, "", "Bearer", "Bearer ", formatApiKey(key), `Basic ${formatApiKey(key)}`, `${bearer} x`, "Bearer msk_a_b", `Bearer ${formatApiKey(generateApiKey())}`])(
    "refuses %p",
    async (authorization) => {
      await expect(new Authenticator(new OneKey(), pepper).authenticate(call, authorization)).rejects.toMatchObject({ code: "unauthenticated" });
    },
  );

  it("refuses a known key id with another secret, also after the right one was seen", async () => {
    const authenticator = new Authenticator(new OneKey(), pepper);
    await authenticator.authenticate(call, bearer);
    const forged = `Bearer ${formatApiKey({ keyId: key.keyId, secret: generateApiKey().secret })}`;
    await expect(authenticator.authenticate(call, forged)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("refuses a key that is bound to no user", async () => {
    const indexer = new OneKey();
    indexer.answer = { namespace: "", scopes: ["delegate"] };
    await expect(new Authenticator(indexer, pepper).authenticate(call, bearer)).rejects.toMatchObject({ code: "permission_denied" });
  });

  it("remembers a key it found, and never one it did not", async () => {
    const indexer = new OneKey();
    const authenticator = new Authenticator(indexer, pepper);
    const { answer } = indexer;
    indexer.answer = undefined;
    await expect(authenticator.authenticate(call, bearer)).rejects.toMatchObject({ code: "unauthenticated" });
    indexer.answer = answer;
    await expect(authenticator.authenticate(call, bearer)).resolves.toMatchObject({ tenant });
    indexer.isAway = true;
    await expect(authenticator.authenticate(call, bearer)).resolves.toMatchObject({ tenant });
  });

  it("says that the indexer is away rather than that the key is bad", async () => {
    const indexer = new OneKey();
    indexer.isAway = true;
    await expect(new Authenticator(indexer, pepper).authenticate(call, bearer)).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("what a caller may do", () => {
  const actor = "api-key test";

  it("is what its scopes say", () => {
    expect(() => { requireScope({ tenant, actor, scopes: ["read"] }, "read"); }).not.toThrow();
    expect(() => { requireScope({ tenant, actor, scopes: ["read"] }, "write"); }).toThrow(/lacks the scope write/);
  });

  it("is never to name another user, and naming itself changes nothing", () => {
    const caller = { tenant, actor, scopes: [] };
    let foreign = 0;
    const parts = { tenantSecret, onForeignUser: () => { foreign++; } };
    expect(() => { requireOwnUser(caller, undefined, parts); }).not.toThrow();
    expect(() => { requireOwnUser(caller, "ada", parts); }).not.toThrow();
    expect(foreign).toBe(0);
    expect(() => { requireOwnUser(caller, "bob", parts); }).toThrow(/^(?!.*bob).*not the user of this key/);
    expect(foreign).toBe(1);
  });
});
