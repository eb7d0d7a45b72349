import { parseCreateToken, parseErase, parseListAudit } from "./admin-to-domain.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { faultOf } from "./testing.js";

const token = (parts: Partial<wire.CreateTokenRequest>) => () => parseCreateToken({ userId: "ada", scopes: ["read"], ttlS: 60, ...parts });

describe("parseCreateToken", () => {
  it("gives each scope once", () => {
    expect(token({ scopes: ["write", "read", "write"], ttlS: LIMITS.tokenTtlS })()).toEqual({ userId: "ada", scopes: ["write", "read"], ttlS: 900 });
  });

  it.each<[string, Partial<wire.CreateTokenRequest>]>([
    ["user_id", { userId: "" }],
    ["user_id", { userId: "ada\0" }],
    ["scopes", { scopes: [] }],
    ["scopes[1]", { scopes: ["read", "delegate"] }],
    ["scopes[0]", { scopes: ["constructor"] }],
    ["ttl_s", { ttlS: 0 }],
    ["ttl_s", { ttlS: LIMITS.tokenTtlS + 1 }],
    ["ttl_s", { ttlS: 0.5 }],
  ])("refuses a fault in %s, and a scope that would make more tokens", (field, parts) => {
    expect(faultOf(token(parts))).toBe(field);
  });
});

describe("parseListAudit and parseErase", () => {
  it("take a page, and the user's own name", () => {
    expect(parseListAudit({})).toEqual({ limit: 50 });
    expect(faultOf(() => parseListAudit({ limit: LIMITS.listPage + 1 }))).toBe("limit");
    expect(parseErase({ userId: "ada" })).toEqual({ userId: "ada" });
    expect(faultOf(() => parseErase({ userId: "" }))).toBe("user_id");
  });
});
