import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartupError } from "@memseal/errors";
import fc from "fast-check";
import { exportJWK, SignJWT, type JWTPayload } from "jose";
import { loadIssuers } from "./issuers.js";
import { JwtVerifier } from "./jwt.js";

const dir = mkdtempSync(join(tmpdir(), "memseal-jwt-"));
afterAll(() => { rmSync(dir, { recursive: true }); });

const file = (name: string, content: string | object) => {
  const path = join(dir, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};
const pem = (key: KeyObject) => key.export({ type: "spki", format: "pem" }) as string;

const shopKeys = generateKeyPairSync("ed25519");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const foreign = generateKeyPairSync("ed25519");
const NOW_S = Math.floor(Date.now() / 1_000);

interface Parts { key?: KeyObject; alg?: string; header?: object; claims?: JWTPayload; exp?: number | null }

function sign({ key = shopKeys.privateKey, alg = "EdDSA", header = {}, claims = {}, exp = NOW_S + 60 }: Parts = {}): Promise<string> {
  return new SignJWT({ iss: "https://shop.example", aud: "memseal", sub: "42", scope: "read write", ...(exp === null ? {} : { exp }), ...claims })
    .setProtectedHeader({ alg, ...header })
    .sign(key);
}

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token whose signature is what `signature` makes of its first two parts. */
function forged(header: object, signature: (signed: string) => string): string {
  const signed = `${base64url(header)}.${base64url({ iss: "https://shop.example", aud: "memseal", sub: "42", scope: "read", exp: NOW_S + 60 })}`;
  return `${signed}.${signature(signed)}`;
}

const shop = { issuer: "https://shop.example", audience: "memseal", public_key_file: "shop.pem", namespace: "shop", max_scopes: ["read", "write"] };
file("shop.pem", pem(shopKeys.publicKey));
file("rsa.pem", pem(rsa.publicKey));

const verifierOf = (...issuers: object[]) => new JwtVerifier(loadIssuers(file("issuers.json", { issuers })));

describe("a JWT", () => {
  const verifier = verifierOf(shop, { ...shop, issuer: "https://rsa.example", public_key_file: "rsa.pem", namespace: "rsa" });
  const refused = (token: string) => expect(verifier.verify(token)).rejects.toMatchObject({ code: "unauthenticated" });

  it("names a user of its issuer's namespace, with those of its scopes that the issuer may give", async () => {
    expect(await verifier.verify(await sign())).toEqual({ namespace: "shop", userId: "42", scopes: ["read", "write"] });
    expect(await verifier.verify(await sign({ claims: { scope: "read admin delegate" } }))).toMatchObject({ scopes: ["read"] });
    expect(await verifier.verify(await sign({ claims: { scope: ["write", 1] } }))).toMatchObject({ scopes: ["write"] });
    expect(await verifier.verify(await sign({ claims: { scope: undefined } }))).toMatchObject({ scopes: [] });
    expect(await verifier.verify(await sign({ claims: { aud: ["other", "memseal"] }, header: { kid: "any" } }))).toMatchObject({ userId: "42" });
  });

  it("is never of the namespace of another issuer, though both name the same user", async () => {
    const other = await sign({ key: rsa.privateKey, alg: "RS256", claims: { iss: "https://rsa.example" } });
    expect(await verifier.verify(other)).toMatchObject({ namespace: "rsa", userId: "42" });
    // One issuer's key with the other's name.
    await refused(await sign({ claims: { iss: "https://rsa.example" } }));
    await refused(await sign({ key: rsa.privateKey, alg: "PS256" }));
  });

  it.each<[string, Parts]>([
    ["from another key", { key: foreign.privateKey }],
    ["without exp", { exp: null }],
    ["expired", { exp: NOW_S - 10 }],
    ["not valid yet", { claims: { nbf: NOW_S + 60 } }],
    ["without iss", { claims: { iss: undefined } }],
    ["of an unknown iss", { claims: { iss: "https://evil.example" } }],
    ["without aud", { claims: { aud: undefined } }],
    ["for another aud", { claims: { aud: "other" } }],
    ["without sub", { claims: { sub: undefined } }],
    ["with an empty sub", { claims: { sub: "" } }],
    ["with a NUL in sub", { claims: { sub: "\0\x04shop42" } }],
    ["with a sub that is a number", { claims: { sub: 42 as unknown as string } }],
    ["with jku", { header: { jku: "https://evil.example/keys" } }],
    ["with x5u", { header: { x5u: "https://evil.example/cert" } }],
    ["with x5c", { header: { x5c: ["MIIB"] } }],
  ])("is refused %s", async (_what, parts) => {
    await refused(await sign(parts));
  });

  it("is refused when it brings its own key", async () => {
    const jwk = await exportJWK(foreign.publicKey);
    await refused(await sign({ key: foreign.privateKey, header: { jwk } }));
    await refused(await sign({ header: { jwk } }));
  });

  it("is refused with alg none, with an HMAC under a public key, and with a crit that is not understood", async () => {
    await refused(forged({ alg: "none" }, () => ""));
    for (const secret of [pem(rsa.publicKey), pem(shopKeys.publicKey)]) {
      await refused(forged({ alg: "HS256" }, (signed) => createHmac("sha256", secret).update(signed).digest("base64url")));
    }
    const [, payload, signature] = (await sign()).split(".");
    await refused(`${base64url({ alg: "EdDSA", crit: ["b64x"], b64x: true })}.${payload}.${signature}`);
    await refused(`${base64url({ alg: "EdDSA", crit: ["exp"] })}.${payload}.${signature}`);
  });

  it("is refused whatever else stands in its place", async () => {
    const token = await sign();
    await fc.assert(fc.asyncProperty(fc.string({ maxLength: 200 }), async (text) => { await refused(text); }), { numRuns: 100 });
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom("A", "b", "0", "-", "_", "."), async (at, character) => {
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        // The last character of a signature has two bits that decode to nothing.
        fc.pre(changed.slice(0, -1) !== token.slice(0, -1));
        await refused(changed);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a set of keys", () => {
  it("is where a kid is looked up, and nowhere else", async () => {
    file("set.json", { keys: [{ ...(await exportJWK(shopKeys.publicKey)), kid: "one" }, { ...(await exportJWK(ec.publicKey)), kid: "two" }] });
    const verifier = verifierOf({ ...shop, public_key_file: "set.json" });
    expect(await verifier.verify(await sign({ header: { kid: "one" } }))).toMatchObject({ userId: "42" });
    expect(await verifier.verify(await sign({ key: ec.privateKey, alg: "ES256", header: { kid: "two" } }))).toMatchObject({ userId: "42" });
    for (const kid of ["two", "three", "../set.json", join(dir, "set.json"), "' OR 1=1 --", "__proto__", ""]) {
      await expect(verifier.verify(await sign({ header: { kid } }))).rejects.toMatchObject({ code: "unauthenticated" });
    }
  });

  describe("behind a URL", () => {
    let server: Server;
    let url: string;
    let asked = 0;
    let answers = true;

    beforeAll(async () => {
      const jwk = { ...(await exportJWK(shopKeys.publicKey)), kid: "one" };
      const oct = { kty: "oct", k: Buffer.from("secret").toString("base64url"), kid: "oct" };
      server = createServer((_request, response) => {
        asked++;
        if (answers) response.end(JSON.stringify({ keys: [jwk, oct] }));
        else response.destroy();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    });
    afterAll(() => new Promise((resolve) => { server.close(resolve); }));

    it("is fetched once, also for key ids that it does not hold", async () => {
      asked = 0;
      const verifier = verifierOf({ ...shop, public_key_file: undefined, jwks_url: url });
      expect(await verifier.verify(await sign({ header: { kid: "one" } }))).toMatchObject({ userId: "42" });
      for (let i = 0; i < 20; i++) await expect(verifier.verify(await sign({ header: { kid: `guess-${i}` } }))).rejects.toMatchObject({ code: "unauthenticated" });
      await expect(verifier.verify(forged({ alg: "HS256", kid: "oct" }, (signed) => createHmac("sha256", "secret").update(signed).digest("base64url")))).rejects.toMatchObject({ code: "unauthenticated" });
      expect(asked).toBe(1);
    });

    it("that cannot be fetched makes its tokens unavailable rather than bad, and no others", async () => {
      answers = false;
      const verifier = verifierOf({ ...shop, public_key_file: undefined, jwks_url: url }, { ...shop, issuer: "https://rsa.example", public_key_file: "rsa.pem", namespace: "rsa" });
      await expect(verifier.verify(await sign({ header: { kid: "one" } }))).rejects.toMatchObject({ code: "unavailable", retryAfterS: 5 });
      expect(await verifier.verify(await sign({ key: rsa.privateKey, alg: "RS256", claims: { iss: "https://rsa.example" } }))).toMatchObject({ namespace: "rsa" });
      answers = true;
      expect(await verifier.verify(await sign({ header: { kid: "one" } }))).toMatchObject({ userId: "42" });
    });
  });
});

describe("the issuers file", () => {
  const load = (...issuers: object[]) => () => loadIssuers(file("issuers.json", { issuers }));

  it.each<[string, object[], RegExp]>([
    ["without an issuer", [], /issuers/],
    ["without audience and namespace", [{ ...shop, audience: undefined, namespace: undefined }], /issuers\.0\.audience: .*[\s\S]*issuers\.0\.namespace/],
    ["with a name nobody knows", [{ ...shop, algorithm: "HS256" }], /algorithm/],
    ["with neither a URL nor a file", [{ ...shop, public_key_file: undefined }], /exactly one/],
    ["with both", [{ ...shop, jwks_url: "https://shop.example/keys" }], /exactly one/],
    ["with a plain URL", [{ ...shop, public_key_file: undefined, jwks_url: "http://shop.example/keys" }], /https/],
    ["with the scope delegate", [{ ...shop, max_scopes: ["delegate"] }], /max_scopes/],
    ["with the same issuer and audience twice", [shop, { ...shop, namespace: "b" }], /has issuer and audience of issuers\.0/],
    ["with one namespace for two issuers", [shop, { ...shop, issuer: "https://b.example" }], /share a namespace/],
    ["with one namespace that only one of them shares", [shop, { ...shop, issuer: "https://b.example", shares_namespace: true }], /share a namespace/],
    ["with a key file that is not there", [{ ...shop, public_key_file: "absent.pem" }], /cannot be read/],
  ])("%s is refused", (_what, issuers, reason) => {
    expect(load(...issuers)).toThrow(reason);
    expect(load(...issuers)).toThrow(StartupError);
  });

  it("takes one namespace for two issuers that both say so", () => {
    expect(load({ ...shop, shares_namespace: true }, { ...shop, issuer: "https://b.example", shares_namespace: true })()).toHaveLength(2);
  });

  it("refuses private, symmetric, weak and unreadable keys", async () => {
    const keyFile = (content: string | object) => load({ ...shop, public_key_file: file("k", content) });
    expect(keyFile(shopKeys.privateKey.export({ type: "pkcs8", format: "pem" }) as string)).toThrow("private key");
    expect(keyFile({ keys: [await exportJWK(shopKeys.privateKey)] })).toThrow("private or symmetric");
    expect(keyFile({ keys: [{ kty: "oct", k: "c2VjcmV0" }] })).toThrow("private or symmetric");
    expect(keyFile(pem(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey))).toThrow("less than 2048 bits");
    expect(keyFile(pem(createPublicKey(generateKeyPairSync("x25519").privateKey)))).toThrow("must hold Ed25519, EC or RSA");
    expect(keyFile("hello")).toThrow("cannot be read");
    expect(keyFile({ keys: [] })).toThrow("neither PEM nor a JWK set");
    expect(() => loadIssuers(file("issuers.json", "{"))).toThrow("cannot be read as JSON");
  });
});
