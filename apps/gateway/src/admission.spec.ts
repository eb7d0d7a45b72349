import { parseUserHash } from "@memseal/crypto";
import { UnauthenticatedError } from "@memseal/errors";
import { Admission, type Received } from "./admission.js";
import type { Credential } from "./call.js";
import { rateLimitHeaders, Rates, type Quota } from "./rates.js";
import { UntakenAnswers } from "./untaken-answers.js";

const user = (digit: string, actor = "api-key a", scopes = ["read", "write"]): Credential => ({ tenant: parseUserHash(digit.repeat(64)), namespace: "default", actor, scopes });
const delegate: Credential = { tenant: undefined, namespace: "default", actor: "api-key d", scopes: ["read", "delegate"], keyId: "d" };
const rate = (perSecond: number) => ({ read: perSecond, write: perSecond, rerank: perSecond });

let now = 0;
const ratesOf = (credential: number, tenant: number) => new Rates({ credential: rate(credential), tenant: rate(tenant), failuresPerSecond: 1 }, () => now);
beforeEach(() => { now = 0; });

describe("rates", () => {
  const allowed = (rates: Rates, credential: Credential, kind: "read" | "write" | "rerank" = "read") => {
    let count = 0;
    while (rates.take(kind, credential).isAllowed) count++;
    return count;
  };

  it("count each credential, and all of one user together", () => {
    const rates = ratesOf(2, 3);
    expect(allowed(rates, user("0", "api-key a"))).toBe(4);
    expect(allowed(rates, user("0", "api-key b"))).toBe(2);
    expect(allowed(rates, user("0", "api-key c"))).toBe(0);
    expect(allowed(rates, user("1", "api-key e"))).toBe(4);
    expect(allowed(rates, delegate)).toBe(4);
  });

  it("count reads, writes and reranks apart, and let more through as time passes", () => {
    const rates = ratesOf(2, 3);
    expect(allowed(rates, user("0"))).toBe(4);
    expect(allowed(rates, user("0"), "write")).toBe(4);
    expect(allowed(rates, user("0"), "rerank")).toBe(4);
    now = 1_000;
    expect(allowed(rates, user("0"))).toBe(2);
  });

  it("are said in headers", () => {
    const rates = ratesOf(2, 3);
    expect(rateLimitHeaders(rates.take("read", user("0")))).toEqual({ "ratelimit-policy": '"read";q=4;w=2', ratelimit: '"read";r=3;t=1' });
  });
});

const MIB = 1_048_576;

describe("admission", () => {
  const received = (parts: Partial<Received> = {}): Received => ({
    requestId: "r", authorization: [], address: "192.0.2.1", timeout: undefined, idempotencyKey: undefined, deadlineMs: Infinity, signal: new AbortController().signal, whenTaken: () => undefined, ...parts,
  });
  const untaken = () => new UntakenAnswers({ receiverBytes: 4 * MIB, totalBytes: 100 * MIB });
  const admissionOf = (credential: Credential, rates = ratesOf(10, 10)) => new Admission({ authenticate: () => Promise.resolve(credential) }, rates, untaken());
  const work = () => Promise.resolve("done");

  it("lets a user do what its credential may, and a delegate nothing but make tokens", async () => {
    await expect(admissionOf(user("0")).admit(received(), "read", work)).resolves.toBe("done");
    await expect(admissionOf(user("0")).admit(received(), "admin", work)).rejects.toMatchObject({ code: "permission_denied" });
    await expect(admissionOf(user("0", "a", ["delegate"])).exchange(received(), work)).rejects.toMatchObject({ code: "permission_denied" });
    for (const scope of ["read", "write", "admin"] as const) await expect(admissionOf(delegate).admit(received(), scope, work)).rejects.toMatchObject({ code: "permission_denied" });
    await expect(admissionOf(delegate).exchange(received(), work)).resolves.toBe("done");
  });

  it("refuses what is over the rate, saying when to come again and where it stands", async () => {
    const admission = admissionOf(user("0"), ratesOf(0.1, 10));
    const quotas: Quota[] = [];
    const ask = () => admission.admit(received({ onQuota: (quota) => { quotas.push(quota); } }), "read", work);
    await ask();
    await expect(ask()).rejects.toMatchObject({ code: "resource_exhausted", retryAfterS: 10 });
    expect(quotas).toMatchObject([{ kind: "read", isAllowed: true, remaining: 0 }, { kind: "read", isAllowed: false, remaining: 0 }]);
    now = 10_000;
    await expect(ask()).resolves.toBe("done");
  });

  it("stops looking keys up for an address that fails too often, and for no other", async () => {
    let asked = 0;
    const admission = new Admission({
      authenticate: (_call, [shown], { beforeAsking }) => {
        if (shown === "known") return Promise.resolve(user("0"));
        beforeAsking();
        asked++;
        return Promise.reject(new UnauthenticatedError());
      },
    }, ratesOf(10, 10), untaken());
    const quotas: Quota[] = [];
    const ask = (shown: string, address = "192.0.2.1") => admission.admit(received({ authorization: [shown], address, onQuota: (quota) => { quotas.push(quota); } }), "read", work);
    const codes: string[] = [];
    for (let i = 0; i < 10; i++) codes.push(await ask("guess").then(() => "ok", (error: unknown) => (error as { code: string }).code));
    expect(codes).toEqual([...Array<string>(2).fill("unauthenticated"), ...Array<string>(8).fill("resource_exhausted")]);
    expect(asked).toBe(2);
    expect(quotas.map(({ kind, isAllowed }) => [kind, isAllowed])).toEqual(Array(8).fill(["failed-auth", false]));
    expect(rateLimitHeaders(quotas[0])).toEqual({ "ratelimit-policy": '"failed-auth";q=2;w=2', ratelimit: '"failed-auth";r=0;t=2' });
    await expect(ask("known")).resolves.toBe("done");
    await expect(ask("guess", "192.0.2.2")).rejects.toMatchObject({ code: "unauthenticated" });
    now = 1_000;
    await expect(ask("guess")).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it.each(["read", "write"] as const)("refuses a user whose answers lie untaken the next call, and lets it in when they are taken: %s", async (access) => {
    const admission = admissionOf(user("0"));
    let take: () => void = () => undefined;
    const asked = (bytes: number) => admission.admit(received({ whenTaken: (taken) => { take = taken; } }), access, (_call, hold) => {
      hold(bytes);
      return Promise.resolve("done");
    });
    await asked(3.5 * MIB);
    await expect(asked(1)).rejects.toMatchObject({ code: "resource_exhausted", retryAfterS: 1, message: expect.stringContaining("wait to be read") as string });
    take();
    await expect(asked(1)).resolves.toBe("done");
  });

  it("refuses an answer that is too much beside others, but none of what was written", async () => {
    const admission = admissionOf(user("0"));
    const asked = (access: "read" | "write") => admission.admit(received(), access, (_call, hold) => {
      hold(2.5 * MIB);
      return Promise.resolve("done");
    });
    await asked("read");
    await expect(asked("read")).rejects.toMatchObject({ code: "resource_exhausted" });
    await expect(asked("write")).resolves.toBe("done");
    await expect(asked("write")).rejects.toMatchObject({ code: "resource_exhausted" });
  });
});
