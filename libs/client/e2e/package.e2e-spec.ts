import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import vm from "node:vm";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

/** What every browser has and the client may use; nothing of Node.js. */
const WEB = { AbortController, AbortSignal, Headers, Response, TextDecoder, URL, URLSearchParams, clearTimeout, crypto, fetch, setTimeout };

let project: string;
let installed: string;
let server: Server;
let url: string;

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "memseal-client-"));
  const run = (command: string, args: readonly string[], cwd: string) => execFileSync(command, args, { cwd, encoding: "utf8" });
  const tarball = run("npm", ["pack", "--silent", "--pack-destination", project], PACKAGE).trim();
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(project, tarball)], project);
  installed = join(project, "node_modules/@memseal/client");
  server = createServer((request, response) => {
    request.resume();
    const isStream = request.url === "/v1/memories/search/stream";
    response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/json" });
    response.end(isStream ? "event: rerank_skipped\ndata: {\"reason\":\"open\"}\n\nevent: done\ndata: {\"latency_ms\":{\"total\":1}}\n\n" : '{"results":[{"id":"01a2","created_at":"t"}]}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  rmSync(project, { recursive: true });
});

describe("the package, installed alone", () => {
  it("brings its code, its types, its licence and no other package", () => {
    expect(readdirSync(join(project, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["@memseal"]);
    expect(readdirSync(join(project, "node_modules/@memseal"))).toEqual(["client"]);
    expect(readdirSync(installed).sort()).toEqual(["LICENSE", "README.md", "dist", "package.json"]);
    expect(readdirSync(join(installed, "dist")).filter((name) => /spec|fixture|tsbuildinfo/.test(name))).toEqual([]);
  });

  it("works in Node.js", async () => {
    const script = join(project, "use.mjs");
    writeFileSync(script, `import { Memseal } from "@memseal/client";
      const alice = new Memseal({ url: ${JSON.stringify(url)}, apiKey: "k", delegate: false }).forUser("alice");
      console.log((await alice.add("a")).id);`);
    expect((await promisify(execFile)(process.execPath, [script])).stdout).toBe("01a2\n");
  });

  it("works where there is nothing but what browsers have", async () => {
    const context = vm.createContext({ ...WEB });
    const modules = new Map<string, vm.SourceTextModule>();
    const load = (file: string): vm.SourceTextModule => {
      const known = modules.get(file) ?? new vm.SourceTextModule(readFileSync(file, "utf8"), { context, identifier: file });
      modules.set(file, known);
      return known;
    };
    const main = new vm.SourceTextModule(`
      import { Memseal } from "./index.js";
      const alice = new Memseal({ url: ${JSON.stringify(url)}, apiKey: "k", delegate: false }).forUser("alice");
      export const added = await alice.add("a");
      export const events = [];
      for await (const { type } of alice.searchStream("a")) events.push(type);
      export const host = typeof process + typeof Buffer + typeof require;
    `, { context, identifier: join(installed, "dist/main.js") });
    await main.link((specifier, { identifier }) => {
      if (!/^\.\/[a-z-]+\.js$/.test(specifier)) throw new Error(`${identifier} imports ${specifier}`);
      return load(join(dirname(identifier), specifier));
    });
    await main.evaluate();
    const { added, events, host } = main.namespace as { added: unknown; events: unknown; host: unknown };
    expect(JSON.parse(JSON.stringify([added, events]))).toEqual([{ id: "01a2", createdAt: "t" }, ["rerankSkipped", "done"]]);
    expect(host).toBe("undefinedundefinedundefined");
    expect(modules.size).toBeGreaterThan(5);
  });

  it("has types that stand alone in the strictest project, with the names of browsers only", () => {
    writeFileSync(join(project, "use.ts"), `import { Memseal, MemsealError, type SearchEvent } from "@memseal/client";
      const alice = new Memseal({ url: "http://a", apiKey: "k" }).forUser("alice");
      export const id: string = (await alice.add("a")).id;
      for await (const event of alice.searchStream("a")) { const kind: SearchEvent["type"] = event.type; console.log(kind); }
      export const isLost = (error: unknown) => error instanceof MemsealError && error.code === "data_loss";`);
    const compilerOptions = {
      strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true, types: [], target: "es2022", lib: ["es2022", "dom"], module: "nodenext",
    };
    expect(compiled(["use.ts"], compilerOptions)).toEqual({ stdout: "", status: 0 });
  });

  it("has a README whose example compiles as it stands", () => {
    const [, example = ""] = /^```ts\n([^]*?)^```$/m.exec(readFileSync(join(installed, "README.md"), "utf8")) ?? [];
    expect(example).toContain("new Memseal({");
    writeFileSync(join(project, "example.ts"), example);
    writeFileSync(join(project, "node.d.ts"), "declare const process: { env: Record<string, string | undefined> };");
    const compilerOptions = { strict: true, noEmit: true, types: [], target: "es2022", lib: ["es2022", "dom"], module: "nodenext" };
    expect(compiled(["example.ts", "node.d.ts"], compilerOptions)).toEqual({ stdout: "", status: 0 });
  });

  function compiled(files: readonly string[], compilerOptions: object): { stdout: string; status: number | null } {
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
    const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
    const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", project], { encoding: "utf8" });
    return { stdout, status };
  }
});
