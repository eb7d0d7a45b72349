import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseUserHash, SecretBytes } from "@memseal/crypto";
import { StartupError, UnauthenticatedError } from "@memseal/errors";
import { SignJWT } from "jose";
import { formatApiKey, generateApiKey, hashApiKeySecret, parseApiKey } from "./api-keys.js";
import { AssertionSigner, AssertionVerifier, generateAssertionKeys, type TenantClaims } from "./tenant-assertion.js";

const claims: TenantClaims = { tenant: parseUserHash("ab".repeat(32)), actor: "api-key test", scopes: ["read"], method: "read" };

describe("API keys", () => {
  it("come back from their printed form", () => {
    for (let i = 0; i < 200; i++) {
      const key = generateApiKey();
      const parsed = parseApiKey(formatApiKey(key));
      expect(parsed.keyId).toBe(key.keyId);
      expect(parsed.secret.equals(key.secret)).toBe(true);
    }
  });

  it.each(["", "msk_", "msk_abc_def", "Bearer msk_x", "msk_aaaaaaaaaaaa_short"])("refuse %j", (text) => {
    expect(() => parseApiKey(text)).toThrow(UnauthenticatedError);
  });

  it("hash differently under another pepper", () => {
    const { secret } = generateApiKey();
    const one = hashApiKeySecret(SecretBytes.of(Buffer.alloc(32, 1)), secret);
    expect(one).toHaveLength(32);
    expect(one.equals(hashApiKeySecret(SecretBytes.of(Buffer.alloc(32, 2)), secret))).toBe(false);
  });
});

describe("tenant assertion", () => {
  const dir = mkdtempSync(join(tmpdir(), "memseal-auth-"));
  const file = (name: string, pem: string) => { const path = join(dir, name); writeFileSync(path, pem); return path; };
  const pair = generateAssertionKeys();
  const next = generateAssertionKeys();
  const signer = AssertionSigner.load(file("a.key", pair.privateKey));
  const verifier = AssertionVerifier.load([file("a.pub", pair.publicKey)]);
  afterAll(() => { rmSync(dir, { recursive: true }); });

  it("carries tenant, actor, scopes and method class from signer to verifier", async () => {
    expect(await verifier.verify(await signer.sign(claims), "read")).toEqual(claims);
  });

  it("is refused for another method class, when changed, when absent", async () => {
    const token = await signer.sign(claims);
    const [header, payload, signature] = token.split(".");
    const other = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(payload, "base64url").toString()) as object, tenant: "cd".repeat(32) })).toString("base64url");
    await expect(verifier.verify(token, "write")).rejects.toThrow(UnauthenticatedError);
    await expect(verifier.verify(`${header}.${other}.${signature}`, "read")).rejects.toThrow(UnauthenticatedError);
    await expect(verifier.verify(undefined, "read")).rejects.toThrow(UnauthenticatedError);
  });

  it("is refused from a gateway whose key is unknown, and accepted once both keys are held", async () => {
    const token = await AssertionSigner.load(file("b.key", next.privateKey)).sign(claims);
    await expect(verifier.verify(token, "read")).rejects.toThrow(UnauthenticatedError);
    const rotating = AssertionVerifier.load([file("a2.pub", pair.publicKey), file("b.pub", next.publicKey)]);
    expect(await rotating.verify(token, "read")).toEqual(claims);
    expect(await rotating.verify(await signer.sign(claims), "read")).toEqual(claims);
  });

  const INDEXER = "memseal.indexer.v1";
  const TEN_YEARS_S = 10 * 365 * 24 * 3600;

  /** Signed by the known gateway, from `iat` to `exp` in seconds from now. */
  async function signedFor(iat: number, exp: number, audience = INDEXER): Promise<string> {
    const kid = (JSON.parse(Buffer.from((await signer.sign(claims)).split(".")[0], "base64url").toString()) as { kid: string }).kid;
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ ...claims }).setProtectedHeader({ alg: "EdDSA", kid }).setAudience(audience)
      .setIssuedAt(now + iat).setExpirationTime(now + exp).sign(createPrivateKey(pair.privateKey));
  }

  it.each<[string, number, number, string]>([
    ["expired", -30, -10, INDEXER],
    ["longer than 60 s", 0, 61, INDEXER],
    ["older than 60 s", -70, -8, INDEXER],
    ["signed for a time to come", TEN_YEARS_S, TEN_YEARS_S + 30, INDEXER],
    ["signed further ahead than clocks may differ", 10, 40, INDEXER],
    ["for another audience", 0, 30, "elsewhere"],
  ])("is refused when %s", async (_what, iat, exp, audience) => {
    await expect(verifier.verify(await signedFor(iat, exp, audience), "read")).rejects.toThrow(UnauthenticatedError);
  });

  it("is accepted from a gateway whose clock is a few seconds off", async () => {
    expect(await verifier.verify(await signedFor(3, 33), "read")).toEqual(claims);
    expect(await verifier.verify(await signedFor(-32, -2), "read")).toEqual(claims);
  });

  it("that was found good is refused for another method class all the same, and from its expiry on", async () => {
    const token = await signedFor(-30, -3);
    expect(await verifier.verify(token, "read")).toEqual(claims);
    await expect(verifier.verify(token, "write")).rejects.toThrow(UnauthenticatedError);
    expect(await verifier.verify(token, "read")).toEqual(claims);
    // Three seconds past it now, of the five that clocks may differ.
    await delay(2_200);
    await expect(verifier.verify(token, "read")).rejects.toThrow(UnauthenticatedError);
  });

  it("is used again for a call of the same kind, and for no other", async () => {
    const token = await signer.sign(claims);
    expect(await signer.sign({ ...claims })).toBe(token);
    const others: Partial<TenantClaims>[] = [{ tenant: parseUserHash("cd".repeat(32)) }, { actor: "api-key other" }, { scopes: ["read", "write"] }, { method: "write" }];
    for (const other of others) expect(await signer.sign({ ...claims, ...other })).not.toBe(token);
  });

  it("is verified with the public key only: a private key is refused at start", () => {
    expect(() => AssertionVerifier.load([file("c.key", pair.privateKey)])).toThrow("the public key only");
    expect(() => AssertionVerifier.load([file("both.pem", pair.publicKey + pair.privateKey)])).toThrow(StartupError);
  });

  it("refuses to start with a key of another kind", () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048, privateKeyEncoding: { type: "pkcs8", format: "pem" }, publicKeyEncoding: { type: "spki", format: "pem" } });
    expect(() => AssertionSigner.load(file("rsa.key", privateKey))).toThrow("Ed25519");
    expect(() => AssertionSigner.load(join(dir, "absent"))).toThrow("cannot be read");
  });
});
