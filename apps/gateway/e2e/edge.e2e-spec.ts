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
