import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import { ASSERTION_KEY, AssertionSigner, AssertionVerifier, generateAssertionKeys, type MethodClass } from "@memseal/auth";
import { parseUserHash } from "@memseal/crypto";
import type { ExecutionContext } from "@nestjs/common";
import { Access, callerOf, TenantGuard } from "./tenant.guard.js";

class Handlers {
  @Access("read") read(): void { /* only its declaration matters */ }
  @Access("write") write(): void { /* only its declaration matters */ }
  @Access("no tenant") resolveKey(): void { /* only its declaration matters */ }
  undeclared(): void { /* only its declaration matters */ }
}

const dir = mkdtempSync(join(tmpdir(), "memseal-guard-"));
const keys = generateAssertionKeys();
writeFileSync(join(dir, "key"), keys.privateKey);
writeFileSync(join(dir, "pub"), keys.publicKey);
const signer = AssertionSigner.load(join(dir, "key"));
let refused = 0;
const guard = new TenantGuard(AssertionVerifier.load([join(dir, "pub")]), () => { refused++; });
const tenant = parseUserHash("ab".repeat(32));
afterAll(() => { rmSync(dir, { recursive: true }); });

const call = (handler: keyof Handlers, metadata: Metadata) =>
  guard.canActivate({ getHandler: () => Handlers.prototype[handler], switchToRpc: () => ({ getContext: () => metadata }) } as unknown as ExecutionContext);

async function assertion(method: MethodClass, scopes: string[] = [method]): Promise<Metadata> {
  const metadata = new Metadata();
  metadata.set(ASSERTION_KEY, await signer.sign({ tenant, actor: "api-key test", scopes, method }));
  return metadata;
}

describe("TenantGuard", () => {
  it("gives a handler the tenant it verified, and no other", async () => {
    const metadata = await assertion("read");
    expect(() => callerOf(metadata)).toThrow("API key");
    expect(await call("read", metadata)).toBe(true);
    expect(callerOf(metadata)).toMatchObject({ tenant, actor: "api-key test" });
    expect(() => callerOf(undefined)).toThrow("API key");
  });

  it("refuses a call without an assertion, of another class, or without the scope", async () => {
    await expect(call("read", new Metadata())).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(call("write", await assertion("read"))).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(call("read", await assertion("read", ["write"]))).rejects.toMatchObject({ code: "permission_denied" });
    // What was shown and did not hold; a call that shows nothing tries nothing.
    expect(refused).toBe(2);
  });

  it("refuses a handler that declares nothing", async () => {
    await expect(call("undeclared", await assertion("read"))).rejects.toMatchObject({ code: "permission_denied" });
  });

  it("lets a call that declares no tenant through, without one", async () => {
    const metadata = new Metadata();
    expect(await call("resolveKey", metadata)).toBe(true);
    expect(() => callerOf(metadata)).toThrow();
  });
});
