import type { Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

let stack: Stack;
let gateway: Gateway;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway();
});

afterAll(async () => {
  await stack.stop();
});

describe("the description of the API", () => {
  it("is a page that loads what it needs from here, under a policy that allows nothing else", async () => {
    const page = await gateway.fetch("/docs");
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const policy = page.headers.get("content-security-policy");
    expect(policy).toContain("default-src 'none'; script-src 'self';");
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/);
    const html = await page.text();
    expect(html).not.toMatch(/https?:|<script>|\son\w+=/);
    const parts = [...html.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)].map(([, path]) => path);
    expect(parts).toHaveLength(3);
    for (const part of parts) {
      const response = await gateway.fetch(`/${part}`);
      expect({ part, status: response.status, type: response.headers.get("content-type") }).toMatchObject({ part, status: 200, type: expect.stringMatching(/^text\/(css|javascript)/) as string });
      expect((await response.text()).length).toBeGreaterThan(50);
    }
  });

  it("is OpenAPI 3.1 at an address of its own", async () => {
    const response = await gateway.fetch("/docs/openapi.json");
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await response.json()).toMatchObject({ openapi: "3.1.1", paths: { "/v1/memories/search": { post: { operationId: "search" } } } });
  });

  it.each(["/docs/assets/package.json", "/docs/assets/__proto__", "/docs/assets/..%2f..%2fpackage.json"])("hands out nothing else: %s", async (path) => {
    const response = await gateway.fetch(path);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: "not_found" });
  });
});

describe("a page in a browser", () => {
  const PAGE = "https://app.example";
  const preflight = (at: Gateway, origin: string) => at.fetch("/v1/memories", {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,idempotency-key" },
  });
  const allowed = ({ headers }: Response) => [...headers].filter(([name]) => name.startsWith("access-control-"));

  it("may not call, unless its origin is configured", async () => {
    const asked = await preflight(gateway, PAGE);
    expect({ status: asked.status, allowed: allowed(asked) }).toEqual({ status: 404, allowed: [] });
    expect(allowed(await gateway.fetch("/v1/memories", { headers: { origin: PAGE } }))).toEqual([]);
  });

  it("of a configured origin may, without cookies, and reads what an answer says beside its body; no other may", async () => {
    const open = await stack.startGateway({ MEMSEAL_CORS_ORIGINS: `${PAGE},http://localhost:3000` });
    for (const origin of [PAGE, "http://localhost:3000"]) {
      const asked = await preflight(open, origin);
      expect({ status: asked.status, vary: asked.headers.get("vary"), allowed: Object.fromEntries(allowed(asked)) }).toMatchObject({
        status: 204,
        vary: expect.stringContaining("Origin") as string,
        allowed: {
          "access-control-allow-origin": origin,
          "access-control-allow-methods": "GET, POST, PATCH, DELETE",
          "access-control-allow-headers": "authorization, content-type, request-timeout-ms, x-request-id, idempotency-key, if-match",
          "access-control-max-age": "600",
        },
      });
      expect(asked.headers.get("access-control-allow-credentials")).toBeNull();
      const refused = await open.fetch("/v1/memories", { headers: { origin } });
      expect({ status: refused.status, origin: refused.headers.get("access-control-allow-origin") }).toEqual({ status: 401, origin });
      expect(refused.headers.get("access-control-expose-headers")).toMatch(/x-request-id.*retry-after/);
    }
    for (const origin of ["https://app.example.evil", "http://app.example", "https://sub.app.example", "https://app.example:8443", "null", "*"]) {
      expect((await preflight(open, origin)).headers.get("access-control-allow-origin")).toBeNull();
      expect((await open.fetch("/v1/memories", { headers: { origin } })).headers.get("access-control-allow-origin")).toBeNull();
    }
    await open.stop();
  });
});
