import { randomBytes } from "node:crypto";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client, credentials, type ServiceDefinition } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { freePort, runToExit, startProcess, type ServiceProcess } from "@memseal/transport/testing";

const STANDALONE = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const CLI = fileURLToPath(new URL("../../cli/dist/main.js", import.meta.url));
const { Watch: watch } = healthService as unknown as ServiceDefinition;

let parent: string;
let home: string;
let env: Record<string, string>;
let url: string;

beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), "memseal-standalone-"));
  // PostgreSQL runs as another user when this runs as root.
  chmodSync(parent, 0o711);
  home = join(parent, "home");
  const address = `127.0.0.1:${await freePort()}`;
  url = `http://${address}`;
  env = {
    MEMSEAL_HOME: home,
    MEMSEAL_HTTP_ADDRESS: address,
    MEMSEAL_GRPC_ADDRESS: `127.0.0.1:${await freePort()}`,
    // A shared test machine is slower than the 250 ms that production allows.
    MEMSEAL_RERANK_TIMEOUT_MS: "5000",
  };
});

afterEach(() => { rmSync(parent, { recursive: true, force: true }); });

const start = () => startProcess(STANDALONE, env, { readyLine: '"service":"standalone","event":"ready"' });
const apiKey = () => readFileSync(join(home, "api-key"), "utf8");

async function post(path: string, body: unknown, key = apiKey()): Promise<{ status: number; body: Answer }> {
  const response = await fetch(url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() as Answer };
}

interface Answer {
  results: { memory: { text: string } }[];
  reranked: boolean;
  dense: boolean;
}

/** Every process below one, and their own. */
function descendants(pid: number): number[] {
  const children = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((candidate) => parentOf(candidate) === pid);
  return [...children, ...children.flatMap(descendants)];
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

/** Alive, and not merely waiting to be reaped. */
function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function expectAllGone(pids: readonly number[]): Promise<void> {
  for (let tries = 0; tries < 100 && pids.some(isRunning); tries++) await delay(100);
  expect(pids.filter(isRunning)).toEqual([]);
}

const banner = (process: ServiceProcess) => process.lines.join("\n");

describe("npm start", () => {
  it("shows where it is and what to copy, answers a first search, and finds its data at the next start", async () => {
    const first = await start();
    expect(banner(first)).toContain(url);
    expect(banner(first)).toContain("BACK THIS UP");
    expect(banner(first)).toContain(`curl -s ${url}/v1/memories -H 'Authorization: Bearer ${apiKey()}'`);
    expect((await post("/v1/memories", { memories: [{ text: "She is allergic to walnuts." }] })).status).toBe(201);
    const answered = await post("/v1/memories/search", { query: "Which food must she avoid?" });
    expect(answered.body).toMatchObject({ dense: true, reranked: true });
    expect(answered.body.results[0].memory.text).toBe("She is allergic to walnuts.");
    const below = descendants(first.pid);
    expect(below.length).toBeGreaterThan(3);
    await first.kill("SIGINT");
    expect(await first.exited).toBe(0);
    await expectAllGone(below);

    const second = await start();
    expect(banner(second)).not.toContain("BACK THIS UP");
    expect((await post("/v1/memories/search", { query: "walnuts" })).body.results[0].memory.text).toBe("She is allergic to walnuts.");
    await second.kill("SIGTERM");
  });

  it("keeps user ids and texts out of every file it leaves behind", async () => {
    const running = await start();
    const user = "zebrafinch-user";
    const text = "zebrafinch-memory";
    const { lines } = await runToExit(CLI, env, ["keys", "create", "--user", user]);
    expect((await post("/v1/memories", { memories: [{ text }] }, lines[0])).status).toBe(201);
    expect((await post("/v1/memories/search", { query: "zebrafinch" }, lines[0])).body.results[0].memory.text).toBe(text);
    await running.kill("SIGTERM");
    for (const shown of running.lines) expect(shown).not.toMatch(/zebrafinch/);
    let files = 0;
    for (const entry of readdirSync(home, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.parentPath.includes("binaries")) continue;
      files++;
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      for (const needle of [user, text].flatMap((word) => [word, Buffer.from(word).toString("hex"), Buffer.from(word).toString("base64").slice(0, -4)])) {
        if (bytes.includes(needle)) throw new Error(`${entry.name} holds ${needle}`);
      }
    }
    expect(files).toBeGreaterThan(100);
  });

  it("starts a killed service again, with nothing else restarted", async () => {
    const running = await start();
    await post("/v1/memories", { memories: [{ text: "The bicycle is in the cellar." }] });
    const children = descendants(running.pid);
    const reranker = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("reranker"))!;
    process.kill(reranker, "SIGKILL");
    const { body } = await post("/v1/memories/search", { query: "bicycle" });
    expect(body.results[0].memory.text).toBe("The bicycle is in the cellar.");
    let again = body;
    for (let tries = 0; tries < 150 && !(again.dense && again.reranked); tries++) {
      await delay(200);
      again = (await post("/v1/memories/search", { query: "bicycle" })).body;
    }
    expect(again).toMatchObject({ dense: true, reranked: true });
    const others = children.filter((pid) => pid !== reranker && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("main.js"));
    expect(others.every(isRunning)).toBe(true);
    await running.kill("SIGTERM");
  });

  it("leaves no process behind after kill -9, and starts again on what it had", async () => {
    const killed = await start();
    await post("/v1/memories", { memories: [{ text: "Piano lessons are on Mondays." }] });
    const below = descendants(killed.pid);
    await killed.kill("SIGKILL");
    await expectAllGone(below);
    const next = await start();
    expect((await post("/v1/memories/search", { query: "piano" })).body.results[0].memory.text).toBe("Piano lessons are on Mondays.");
    await next.kill("SIGTERM");
  });

  it("refuses to start without one of its secrets, naming the file, and makes no new one", async () => {
    const first = await start();
    await first.kill("SIGTERM");
    rmSync(join(home, "secrets/root.key"));
    const { code, lines } = await runToExit(STANDALONE, env);
    expect(code).toBe(1);
    expect(lines.join("\n")).toContain(`${join(home, "secrets/root.key")} is missing: restore it from your backup`);
  });

  it("refuses to start without all of its secrets once it has data, and makes no new ones", async () => {
    const first = await start();
    await first.kill("SIGTERM");
    rmSync(join(home, "secrets"), { recursive: true });
    const { code, lines } = await runToExit(STANDALONE, env);
    expect(code).toBe(1);
    expect(lines.at(-1)).toContain(`the secrets in ${join(home, "secrets")} are gone, and without them what is stored can never be read: restore them from your backup`);
    expect(existsSync(join(home, "secrets"))).toBe(false);
  });

  it("refuses a second start on the same home, and the first goes on whole", async () => {
    const first = await start();
    await post("/v1/memories", { memories: [{ text: "The piano is tuned in May." }] });
    const second = await runToExit(STANDALONE, { ...env, MEMSEAL_HTTP_ADDRESS: `127.0.0.1:${await freePort()}`, MEMSEAL_GRPC_ADDRESS: `127.0.0.1:${await freePort()}` });
    expect(second.code).toBe(1);
    expect(second.lines).toHaveLength(1);
    expect(second.lines[0]).toContain(`already running on ${home}, pid ${first.pid}`);
    expect((await post("/v1/memories/search", { query: "piano" })).body).toMatchObject({ dense: true, reranked: true });
    // A gateway that starts now reads the keys of this run, and finds the sockets.
    const gateway = descendants(first.pid).find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("gateway"))!;
    process.kill(gateway, "SIGKILL");
    let found: Answer | undefined;
    for (let tries = 0; tries < 100 && found === undefined; tries++) {
      await delay(200);
      found = await post("/v1/memories/search", { query: "piano" }).then(({ body }) => body, () => undefined);
    }
    expect(found?.results[0].memory.text).toBe("The piano is tuned in May.");
    await first.kill("SIGTERM");
  });

  it("shows a key that works also on a database that was made anew", async () => {
    const first = await start();
    await first.kill("SIGTERM");
    const before = apiKey();
    rmSync(join(home, "postgres"), { recursive: true });
    const second = await start();
    expect(apiKey()).toBe(before);
    expect((await post("/v1/memories", { memories: [{ text: "It rains." }] })).status).toBe(201);
    await second.kill("SIGTERM");
  });

  it("refuses a key that was made with other secrets, saying what to restore", async () => {
    const first = await start();
    await first.kill("SIGTERM");
    writeFileSync(join(home, "secrets/api-key.pepper"), randomBytes(32));
    const { code, lines } = await runToExit(STANDALONE, env);
    expect(code).toBe(1);
    expect(lines.join("\n")).toContain(`the secrets are not those that the key in ${join(home, "api-key")} was made with: restore them from your backup`);
  });

  it("stops in time while somebody watches a service's health", async () => {
    const running = await start();
    const clients = [env["MEMSEAL_GRPC_ADDRESS"], `unix:${join(home, "run/indexer.sock")}`].map((address) =>
      new Client(address, credentials.createInsecure(), { "grpc.default_authority": "localhost" }));
    await Promise.all(clients.map((client) => new Promise((resolve) => {
      const stream = client.makeServerStreamRequest(watch.path, watch.requestSerialize, watch.responseDeserialize, { service: "" });
      stream.once("data", resolve).on("error", () => undefined);
    })));
    const below = descendants(running.pid);
    const startedAt = performance.now();
    await running.kill("SIGTERM");
    expect(await running.exited).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(30_000);
    await expectAllGone(below);
    for (const client of clients) client.close();
  });

  it("stops what is still starting when the start is called off, and leaves no process behind", async () => {
    const starting = await startProcess(STANDALONE, env, { readyLine: '"event":"database ready"' });
    const below = descendants(starting.pid);
    await starting.kill("SIGTERM");
    expect(await starting.exited).toBe(0);
    await expectAllGone(below);
  });

  it("starts from a folder, and on a home, with spaces and letters beyond ASCII in their paths", async () => {
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    const elsewhere = join(parent, "mémo séal");
    for (const app of ["standalone", "gateway", "indexer", "reranker"]) {
      for (const part of ["package.json", "dist"]) cpSync(join(root, "apps", app, part), join(elsewhere, "apps", app, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(elsewhere, "node_modules"));
    home = join(parent, "hömé dir");
    env["MEMSEAL_HOME"] = home;
    const running = await startProcess(join(elsewhere, "apps/standalone/dist/main.js"), env, { readyLine: '"service":"standalone","event":"ready"' });
    expect((await post("/v1/memories", { memories: [{ text: "It rains." }] })).status).toBe(201);
    await running.kill("SIGTERM");
  });

  it("says in one clear line that a port is in use", async () => {
    const address = env["MEMSEAL_HTTP_ADDRESS"];
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(Number(new URL(url).port), "127.0.0.1", resolve));
    const { code, lines } = await runToExit(STANDALONE, env);
    await new Promise((resolve) => squatter.close(resolve));
    expect([code, reasonIn(lines)]).toEqual([1, `the gateway did not start: ${address} is in use: stop what listens there, or choose another address`]);
  });

  it("says in one clear line that a home cannot be used", async () => {
    writeFileSync(home, "a file");
    const { code, lines } = await runToExit(STANDALONE, { ...env, MEMSEAL_HOME: join(home, "below") });
    expect([code, lines.length, reasonIn(lines)]).toEqual([1, 1, `MEMSEAL_HOME ${join(home, "below")} cannot be used (ENOTDIR): choose a folder that this user may write to`]);
  });

  it("says in one clear line that a model is missing", async () => {
    mkdirSync(join(parent, "models", "all-minilm-l6-v2"), { recursive: true });
    const { code, lines } = await runToExit(STANDALONE, { ...env, MEMSEAL_MODELS_DIR: join(parent, "models") });
    expect([code, reasonIn(lines)]).toEqual([1, expect.stringMatching(/^the reranker did not start: .*models.*cannot be read/)]);
  });
});

/** Why it says it did not start: in its last line. */
function reasonIn(lines: readonly string[]): unknown {
  return (JSON.parse(lines.at(-1)!) as { reason: unknown }).reason;
}
