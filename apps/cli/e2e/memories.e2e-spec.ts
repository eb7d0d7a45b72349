import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Memseal, type Memory } from "@memseal/client";
import { appScript, freePort, runToExit, startProcess, type ServiceProcess } from "@memseal/transport/testing";

const CLI = appScript("cli");

let dir: string;
let home: string;
let url: string;
let key: string;
let memseal: ServiceProcess;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "memseal-cli-"));
  // PostgreSQL runs as another user when this runs as root.
  chmodSync(dir, 0o711);
  home = join(dir, "home");
  const address = `127.0.0.1:${await freePort()}`;
  url = `http://${address}`;
  memseal = await startProcess(
    CLI,
    { MEMSEAL_HOME: home, MEMSEAL_HTTP_ADDRESS: address, MEMSEAL_GRPC_ADDRESS: `127.0.0.1:${await freePort()}`, MEMSEAL_RERANK_TIMEOUT_MS: "5000" },
    { args: ["start"], readyLine: '"service":"standalone","event":"ready"' },
  );
  key = readFileSync(join(home, "api-key"), "utf8");
});

afterAll(async () => {
  await memseal.kill("SIGTERM");
  expect(await memseal.exited).toBe(0);
  rmSync(dir, { recursive: true });
});

const envOf = (apiKey: string) => ({ MEMSEAL_HOME: home, MEMSEAL_URL: url, MEMSEAL_API_KEY: apiKey });
const run = (...args: string[]) => runToExit(CLI, envOf(key), args);
const runAs = (apiKey: string, ...args: string[]) => runToExit(CLI, envOf(apiKey), args);
const path = (name: string) => join(dir, name);

async function newKey(user: string): Promise<string> {
  const { lines } = await runToExit(CLI, { MEMSEAL_HOME: home }, ["keys", "create", "--user", user]);
  return lines[0];
}

/** What is stored, as its own client sees it: oldest first. */
async function memoriesOf(apiKey: string): Promise<Memory[]> {
  const all: Memory[] = [];
  for await (const memory of new Memseal({ url, apiKey }).forOwnUser().list({ limit: 100 })) all.push(memory);
  return all.reverse();
}

/** Without embedding, so that what is measured is the import. */
const vectorOf = (i: number) => Array.from({ length: 8 }, (_, j) => Math.sin(i + j + 1));
const turns = (count: number) => Array.from({ length: count }, (_, i) => ({
  // Repeated on purpose: of messages, the same text twice is twice; a call sent twice would show.
  text: `turn ${i % 50}`, run_id: `run ${i % 3}`, role: i % 2 === 0 ? "user" : "assistant", metadata: { i }, occurred_at: new Date(1_600_000_000_000 + i * 1000).toISOString(), vector: vectorOf(i),
}));
const jsonl = (items: readonly object[]) => items.map((item) => `${JSON.stringify(item)}\n`).join("");
const without = ({ id: _id, createdAt: _created, updatedAt: _updated, ...rest }: Memory) => rest;

/** Starts the command again and again and kills it each time its state has moved on, then lets it end. Returns how often it was killed. */
async function killedInBetween(args: readonly string[], apiKey: string, stateFile: string, kills: number): Promise<number> {
  let killed = 0;
  let seen = "";
  while (killed < kills) {
    const child = spawn(process.execPath, [CLI, ...args], { env: { PATH: process.env["PATH"], ...envOf(apiKey) }, stdio: "ignore" });
    const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => { resolve(code); }));
    while (child.exitCode === null) {
      const now = existsSync(stateFile) ? readFileSync(stateFile, "utf8") : "";
      if (now !== seen && now !== "") {
        seen = now;
        // At a different point of a call each time.
        await delay(killed * 15);
        child.kill("SIGKILL");
        break;
      }
      await delay(2);
    }
    if ((await ended) === 0) return killed;
    killed++;
  }
  return killed;
}

const jsonOf = async (...args: string[]): Promise<unknown> => JSON.parse((await run(...args, "--json")).lines[0]);
const api = async (method: string, path: string, body?: object): Promise<unknown> =>
  (await fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })).json();

/** Of an answer what is the same each time. */
const timeless = (answer: unknown) => ({ ...(answer as object), request_id: undefined, latency_ms: Object.keys((answer as { latency_ms?: object }).latency_ms ?? {}) });

async function expectJsonOfTheApi(args: readonly string[], method: string, path: string, body?: object): Promise<void> {
  expect(timeless(await jsonOf(...args))).toEqual(timeless(await api(method, path, body)));
}

describe("memseal", () => {
  it("adds, finds, lists, shows and deletes", async () => {
    const added = await run("add", "She is allergic to walnuts.", "--tags", "food,health", "--metadata", '{"sure":true}', "--occurred-at", "2023-05-08T13:56:00Z", "--json");
    expect(added.code).toBe(0);
    const { id } = JSON.parse(added.lines[0]) as { id: string };
    expect((await run("add", "The bike is in the garage.", "--source", "chat")).lines).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);

    const { code, lines } = await run("search", "Which food must she avoid?", "--explain");
    expect(code).toBe(0);
    expect(lines[0]).toMatch(/^rank +score +fused +was +logit +similarity +bm25 +context +decay +memory$/);
    expect(lines[1]).toMatch(/^ +1 +-?\d+\.\d{3} +-?\d+\.\d{3} +\d .* -?\d+\.\d{3} \(\d+\) .*She is allergic to walnuts\.$/);
    expect(lines.at(-1)).toMatch(/^2 of 2 memories, \d+ ms; 2 candidates reranked$/);
    const one = await run("search", "bike", "--filters", '{"tags":{"contains":"food"}}', "--top-k", "1", "--fused-order");
    expect(one.lines).toEqual([expect.stringContaining(`${id}  2023-05-08  She is allergic to walnuts.`), "", expect.stringMatching(/^1 of 1 memories, \d+ ms; in fused order \(reranking: disabled\)$/)]);

    await expectJsonOfTheApi(["search", "bike", "--explain"], "POST", "/v1/memories/search", { query: "bike", explain: true });
    await expectJsonOfTheApi(["get", id], "GET", `/v1/memories/${id}`);
    expect(await jsonOf("list")).toEqual(((await api("POST", "/v1/memories/list", {})) as { results: unknown }).results);

    expect((await run("list")).lines).toEqual([expect.stringContaining("The bike is in the garage."), `${id}  2023-05-08  She is allergic to walnuts.`]);
    expect((await run("get", id)).lines).toEqual(expect.arrayContaining([expect.stringMatching(/^text +She is allergic to walnuts\.$/), expect.stringMatching(/^metadata +\{"sure":true\}$/)]));
    expect((await run("delete", "--all", "--dry-run")).lines).toEqual(["2 would be deleted"]);
    expect((await run("delete", id)).lines).toEqual(["deleted 1"]);
    expect(await run("get", id)).toMatchObject({ code: 1, lines: [expect.stringMatching(/^memseal: memory .*not found \(request [0-9a-f-]{36}\)$/)] });
  });

  it("makes a round trip that leaves nothing behind, and fails where it cannot", async () => {
    const before = await jsonOf("list");
    expect(await run("round-trip")).toEqual({ code: 0, lines: [expect.stringMatching(/^written, found at rank \d+ and deleted in \d+ ms$/)] });
    expect(await jsonOf("list")).toEqual(before);
    expect(await runToExit(CLI, envOf(key.slice(0, -1)), ["round-trip"])).toMatchObject({ code: 1, lines: [expect.stringMatching(/^memseal: /)] });
  });

  it.each([
    [["search", "a", "--top", "3"], 2, "Unknown option '--top'"],
    [["search", "a", "--filters", '{"tags":{"like":"a"}}'], 1, "filters.tags.like"],
  ])("answers %j with exit code %i and what is wrong", async (args, code, problem) => {
    expect(await run(...args)).toEqual({ code, lines: [expect.stringContaining(problem)] });
  });

  it("warns of a key on the command line, repeats no key, and says errors in JSON where asked", async () => {
    const { code, lines } = await run("list", "--api-key", "msk_AAAAAAAAAAAA_never-shown", "--json");
    expect(code).toBe(1);
    expect(lines[0]).toContain("can be read by every user of this machine");
    expect(JSON.parse(lines[1])).toMatchObject({ error: { code: "unauthenticated", request_id: expect.any(String) as string } });
    expect(lines.join("\n")).not.toContain("never-shown");
  });

  it("says of an address other than its own that the key of this machine is not sent there", async () => {
    const asked = ["list", "--url", "http://localhost:7480"];
    expect(await runToExit(CLI, { MEMSEAL_HOME: home }, asked)).toEqual({ code: 1, lines: [expect.stringMatching(/no API key.*the key of `memseal start` is sent to http:\/\/127\.0\.0\.1:7480 alone/)] });
  });

  it("has help for each command", async () => {
    const { code, lines } = await run("import", "--help");
    expect(code).toBe(0);
    expect(lines.join("\n")).toMatch(/--dry-run.*Check every line/);
    expect((await run("--version")).lines).toEqual(["0.1.0"]);
  });
});

describe("memseal import and export", () => {
  it("killed with kill -9 again and again, import everything once, in order", async () => {
    const apiKey = await newKey("killed-import");
    const all = turns(1_500);
    writeFileSync(path("turns.jsonl"), jsonl(all));
    const killed = await killedInBetween(["import", path("turns.jsonl")], apiKey, path("turns.jsonl.import-state"), 6);
    expect(killed).toBeGreaterThanOrEqual(3);
    const { code, lines } = await runAs(apiKey, "import", path("turns.jsonl"), "--json");
    expect(code).toBe(0);
    expect(JSON.parse(lines[0])).toMatchObject({ lines: 1_500, created: 1_500, updated: 0, duplicates: 0, expired: 0 });
    const stored = await memoriesOf(apiKey);
    expect(stored.map(({ metadata }) => metadata["i"])).toEqual(all.map((_, i) => i));
    expect(stored.map(({ position }) => position)).toEqual(all.map((_, i) => Math.floor(i / 3)));

    // Once more changes nothing; lines that were added to the file are imported, others may not change.
    expect((await runAs(apiKey, "import", path("turns.jsonl"))).code).toBe(0);
    writeFileSync(path("turns.jsonl"), jsonl([...all, { text: "one more", vector: vectorOf(7) }]));
    expect(JSON.parse((await runAs(apiKey, "import", path("turns.jsonl"), "--json")).lines[0])).toMatchObject({ created: 1_501, resumed_from: 1_500 });
    expect(await memoriesOf(apiKey)).toHaveLength(1_501);
    writeFileSync(path("turns.jsonl"), jsonl(all.toReversed()));
    expect(await runAs(apiKey, "import", path("turns.jsonl"))).toMatchObject({ code: 1, lines: [expect.stringContaining("the file has changed")] });
    expect(await runAs(key, "import", path("turns.jsonl"))).toMatchObject({ code: 1 });

    const exporting = ["export", path("out.jsonl")];
    await killedInBetween(exporting, apiKey, path("out.jsonl.export-state"), 4);
    if (!existsSync(path("out.jsonl"))) expect(await runAs(apiKey, ...exporting)).toMatchObject({ code: 0, lines: [expect.stringContaining("exported 1501 memories")] });
    expect(statSync(path("out.jsonl")).mode & 0o777).toBe(0o600);
    const exported = readFileSync(path("out.jsonl"), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as { id: string });
    const now = await memoriesOf(apiKey);
    expect(exported.map(({ id }) => id)).toEqual(now.map(({ id }) => id));
    expect(await runAs(apiKey, ...exporting)).toMatchObject({ code: 1, lines: [expect.stringContaining("is there already")] });
    for (const leftover of ["out.jsonl.partial", "out.jsonl.export-state", "out.jsonl.reversed"]) expect(existsSync(path(leftover))).toBe(false);
  });

  it("come back as they went out, for another user", async () => {
    const [from, to] = [await newKey("round-trip-from"), await newKey("round-trip-to")];
    const user = new Memseal({ url, apiKey: from }).forOwnUser();
    await user.add([
      { text: "She moved to Bergen. 🏔", key: "doc-1", tags: ["a", "b"], source: "mail", agentId: "x", metadata: { deep: { er: [1, null, "ü"] } }, occurredAt: "2020-02-29T00:00:00Z", expiresAt: "2123-01-01T00:00:00Z" },
      { text: `${"A long memory. ".repeat(400)}The end.` },
    ]);
    await user.add({ runId: "chat", messages: [{ role: "user", content: "yes" }, { role: "assistant", content: "no" }, { role: "user", content: "yes" }] });
    expect((await runAs(from, "export", path("from.jsonl"))).code).toBe(0);
    expect((await runAs(to, "import", path("from.jsonl"))).lines).toEqual(["imported 5 memories: 5 new"]);
    expect((await memoriesOf(to)).map(without)).toEqual((await memoriesOf(from)).map(without));
  });

  it("check every line and send none when one is wrong, and say which", async () => {
    writeFileSync(path("wrong.jsonl"), '{"text":"a"}\n\n{"text":""}\n{"text":"b","tags":"c"}\n{"txt":"d"}\nnonsense\n');
    for (const args of [["import", path("wrong.jsonl")], ["import", path("wrong.jsonl"), "--dry-run"]]) {
      expect(await run(...args)).toEqual({
        code: 1,
        lines: [
          expect.stringMatching(/^line 3: text: /), expect.stringMatching(/^line 4: tags: /), expect.stringMatching(/^line 5: /), "line 6: line: is not JSON",
          "4 of 5 memories cannot be imported; nothing was sent",
        ],
      });
    }
    writeFileSync(path("right.jsonl"), '{"text":"a"}\n');
    expect((await run("import", path("right.jsonl"), "--dry-run")).lines).toEqual(["1 memories can be imported; nothing was sent"]);
    expect(existsSync(path("right.jsonl.import-state"))).toBe(false);
  });

  it("take what mem0 exports, once, and nobody else's", async () => {
    const apiKey = await newKey("alice");
    const results = [
      { id: "892db2ae-06d9-49e5-8b3e-585ef9b85b8e", memory: "Allergic to walnuts", hash: "f3", metadata: null, created_at: "2024-07-26T10:29:36.630547-07:00", updated_at: null, user_id: "alice", categories: ["health"] },
      { id: "f0f0c1a4-2f9a-4d0e-8b8a-8f9f4bb2ad11", memory: "Gone already", created_at: "2023-01-01T00:00:00Z", expiration_date: "2023-02-01", user_id: "alice" },
    ];
    writeFileSync(path("mem0.json"), JSON.stringify({ results }, null, 2));
    expect((await runAs(apiKey, "import", path("mem0.json"))).lines).toEqual([
      "imported 2 memories: 1 new, 1 left out as expired",
      "left out, since no memory here has it: hash (1)",
    ]);
    rmSync(path("mem0.json.import-state"));
    expect((await runAs(apiKey, "import", path("mem0.json"))).lines[0]).toMatch(/^imported 2 memories: 0 new, 1 (updated|there already), 1 left out as expired$/);
    expect(await memoriesOf(apiKey)).toMatchObject([{ text: "Allergic to walnuts", key: results[0].id, tags: ["health"], occurredAt: "2024-07-26T17:29:36.630Z" }]);

    const foreign = await run("import", path("mem0.json"), "--state", path("foreign"));
    expect(foreign).toMatchObject({ code: 1, lines: [expect.stringMatching(/^memseal: lines 1 to 2: .*the 0 memories before are stored/)] });
    const named = await run("import", path("mem0.json"), "--user", "bob", "--dry-run");
    expect(named.lines[0]).toBe("line 1: user_id: is not the user of --user");
  });
});

describe("memseal doctor", () => {
  it("finds nothing wrong with what was just started", async () => {
    const { code, lines } = await run("doctor");
    expect({ code, lines }).toMatchObject({ code: 0 });
    expect(lines.at(-1)).toBe("nothing is wrong");
    const checked = ["Node.js", "secret root.key", "secret tenant.secret", "secret api-key.pepper", "database schema", "database role app", "database role auth", "database role scheduler", "API key rows", "models", "gateway healthz", "gateway readyz", "API key"];
    for (const what of checked) expect(lines.some((line) => line.startsWith("ok") && line.includes(what))).toBe(true);
  });

  it("says what to do about each thing that is wrong", async () => {
    chmodSync(join(home, "secrets/root.key"), 0o644);
    const { code, lines } = await runToExit(CLI, { MEMSEAL_HOME: home, MEMSEAL_URL: "http://127.0.0.1:1", DATABASE_URL: "postgres://memseal_app:hunter2@127.0.0.1:1/memseal" }, ["doctor", "--json", "--key-file", join(home, "api-key")]);
    chmodSync(join(home, "secrets/root.key"), 0o600);
    expect(code).toBe(1);
    const { ok, checks } = JSON.parse(lines[0]) as { ok: boolean; checks: { what: string; verdict: string; says: string }[] };
    expect(ok).toBe(false);
    const failed = Object.fromEntries(checks.filter(({ verdict }) => verdict === "failed").map(({ what, says }) => [what, says]));
    expect(failed).toEqual({
      "secret root.key": expect.stringContaining("chmod 600") as string,
      "database role app": expect.stringContaining("cannot be reached") as string,
      "gateway healthz": expect.stringContaining("start Memseal") as string,
      "gateway readyz": expect.stringContaining("start Memseal") as string,
      "API key": expect.stringContaining("no answer came") as string,
    });
    expect(lines.join("\n")).not.toContain("hunter2");

    const revoked = await runAs("msk_AAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "doctor");
    expect(revoked.code).toBe(1);
    expect(revoked.lines.join("\n")).toMatch(/failed +API key +the gateway does not know it/);
  });
});
