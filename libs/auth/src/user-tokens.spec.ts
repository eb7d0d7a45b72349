import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseUserHash } from "@memseal/crypto";
import { StartupError, UnauthenticatedError } from "@memseal/errors";
import { decodeProtectedHeader, SignJWT } from "jose";
import { keyIdOf } from "./ed25519-keys.js";
import { AssertionSigner, AssertionVerifier, generateAssertionKeys } from "./tenant-assertion.js";
import { UserTokens, type UserTokenClaims } from "./user-tokens.js";

const dir = mkdtempSync(join(tmpdir(), "memseal-tokens-"));
afterAll(() => { rmSync(dir, { recursive: true }); });
const file = (name: string, pem: string) => { const path = join(dir, name); writeFileSync(path, pem); return path; };

const one = generateAssertionKeys();
const two = generateAssertionKeys();
const tokens = UserTokens.load(file("one.key", one.privateKey));
const tenant = parseUserHash("ab".repeat(32));
const claims: UserTokenClaims = { tenant, namespace: "shop", scopes: ["read"], keyId: "abcdefghijkl" };
const NOW_S = Math.floor(Date.now() / 1_000);

/** A token that the gateway's own key signs, with one thing otherwise. */
function signed(header: object, payload: object): Promise<string> {
  const kid = keyIdOf(createPublicKey(one.publicKey));
  const base = { iss: "memseal", aud: "memseal.v1", tenant, namespace: "shop", scopes: ["read"], key_id: "abcdefghijkl", iat: NOW_S, exp: NOW_S + 60 };
  return new SignJWT({ ...base, ...payload }).setProtectedHeader({ alg: "EdDSA", kid, typ: "memseal-token+jwt", ...header }).sign(createPrivateKey(one.privateKey));
}

describe("a user token", () => {
  it("says for whom it is and what it may do, until it ends", async () => {
    const { token, expiresAt } = await tokens.sign(claims, 60);
    expect(await tokens.verify(token)).toEqual(claims);
    expect(expiresAt.getTime() / 1_000 - NOW_S).toBeLessThanOrEqual(70);
    expect(UserTokens.claims(token)).toBe(true);
    expect(await tokens.verify(await signed({}, {}))).toEqual(claims);
  });

  it("counts at every gateway that has the signer's public key, and at no other", async () => {
    const { token } = await tokens.sign(claims, 60);
    const replica = UserTokens.load(file("two.key", two.privateKey), [file("one.pub", one.publicKey)]);
    expect(await replica.verify(token)).toEqual(claims);
    await expect(UserTokens.load(file("two.key", two.privateKey)).verify(token)).rejects.toThrow(UnauthenticatedError);
    expect(() => UserTokens.load(file("one.key", one.privateKey), [file("two.key", two.privateKey)])).toThrow(StartupError);
  });

  it.each<[string, object, object]>([
    ["expired", {}, { iat: NOW_S - 60, exp: NOW_S - 10 }],
    ["longer than 900 s", {}, { exp: NOW_S + 901 }],
    ["older than 900 s", {}, { iat: NOW_S - 920, exp: NOW_S - 3 }],
    ["of a time to come", {}, { iat: NOW_S + 60, exp: NOW_S + 120 }],
    ["without an end", {}, { exp: undefined }],
    ["of another issuer", {}, { iss: "https://shop.example" }],
    ["for another audience", {}, { aud: "memseal.indexer.v1" }],
    ["with the scope delegate", {}, { scopes: ["read", "delegate"] }],
    ["without a tenant", {}, { tenant: undefined }],
    ["with a tenant that is no hash", {}, { tenant: "ada" }],
    ["of another type", { typ: "JWT" }, {}],
    ["without a type", { typ: undefined }, {}],
    ["with a foreign key id", { kid: "0000000000000000" }, {}],
  ])("is refused when %s", async (_what, header, payload) => {
    await expect(tokens.verify(await signed(header, payload))).rejects.toThrow(UnauthenticatedError);
  });

  it("is no assertion, and an assertion no user token, though one key signs both", async () => {
    const assertion = await AssertionSigner.load(file("one.key", one.privateKey)).sign({ tenant, actor: "api-key x", scopes: ["read"], method: "read" });
    const { token } = await tokens.sign(claims, 60);
    const verifier = AssertionVerifier.load([file("one.pub", one.publicKey)]);
    expect(decodeProtectedHeader(assertion).kid).toBe(decodeProtectedHeader(token).kid);
    await expect(tokens.verify(assertion)).rejects.toThrow(UnauthenticatedError);
    expect(UserTokens.claims(assertion)).toBe(false);
    await expect(verifier.verify(token, "read")).rejects.toThrow(UnauthenticatedError);
    expect(await verifier.verify(assertion, "read")).toMatchObject({ tenant });
  });

  it("is not signed for longer than 900 s", async () => {
    await expect(tokens.sign(claims, 901)).rejects.toThrow(RangeError);
    await expect(tokens.sign(claims, 0)).rejects.toThrow(RangeError);
  });
});
