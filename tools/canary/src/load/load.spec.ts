import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Load, LoadError } from "./load.js";

const SECRET = "the load's own";
const KEYS = Array.from({ length: 6 }, (_, i) => `key-${i}`);

/** Stands where the load balancer does, and says what each track answers. */
class Answers {
  /** Integrity failures that a search of a track shows. */
  failures = { canary: 0, stable: 0 };
  /** Of the candidate's searches, whether the connection is cut instead. */
  isCut = false;
  isRefusing = false;
  readonly asked: { path: string; track: string | undefined; secret: string | undefined; authorization: string | undefined }[] = [];
  readonly #server = createServer((request, response) => { request.resume().on("end", () => { this.#answer(request, response); }); });

  static async start(): Promise<Answers> {
    const answers = new Answers();
    await new Promise<void>((resolve) => answers.#server.listen(0, "127.0.0.1", resolve));
    return answers;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer({ url: path = "", headers, method }: IncomingMessage, response: ServerResponse): void {
    const track = headers["x-memseal-track"] === "canary" ? "canary" : "stable";
    this.asked.push({ path, track: headers["x-memseal-track"] as string | undefined, secret: headers["x-memseal-track-secret"] as string | undefined, authorization: headers.authorization });
    if (this.isCut && track === "canary") return void response.destroy();
    const json = (status: number, body: object) => response.writeHead(status, { "content-type": "application/json", "x-memseal-track": track }).end(JSON.stringify(body));
    if (this.isRefusing) return void json(401, { code: "unauthenticated", detail: "a sentence with key-1 in it" });
    const answer = { results: [], reranked: true, integrity_failures: this.failures[track] };
    if (path.endsWith("/search")) return void json(200, answer);
    if (path.endsWith("/stream")) {
      response.writeHead(200, { "content-type": "text/event-stream", "x-memseal-track": track });
      return void response.end(`event: results\ndata: ${JSON.stringify(answer)}\n\nevent: done\ndata: {}\n\n`);
    }
    return void json(200, method === "PATCH" ? { id: "m" } : { results: Array.from({ length: 8 }, (_, i) => ({ id: `m${i}`, event: "create" })) });
  }
}

let answers: Answers;
const load = (requestsPerS = 200) => new Load({ url: answers.url, trackSecret: SECRET, keys: KEYS }, { requestsPerS });

describe("the load of a release", () => {
  beforeEach(async () => {
    answers = await Answers.start();
  });

  afterEach(() => {
    answers.stop();
  });

  it("gives each user memories through stable, then warms both tracks", async () => {
    const prepared = load();
    await prepared.prepare();
    const added = prepared.rows.filter(({ kind }) => kind === "add");
    expect(added.map(({ credential }) => credential).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(new Set(added.map(({ asked }) => asked))).toEqual(new Set(["stable"]));
    for (const track of ["canary", "stable"]) expect(new Set(prepared.rows.filter((row) => row.kind !== "add" && row.track === track).map(({ credential }) => credential)).size).toBe(6);
    expect(prepared.rows).toHaveLength(answers.asked.length);
    expect(new Set(answers.asked.map(({ secret }) => secret))).toEqual(new Set([SECRET]));
  });

  it("refuses a user who cannot be given memories, without a word of the answer", async () => {
    answers.isRefusing = true;
    const refused = load();
    await expect(refused.prepare()).rejects.toThrow(/^the user of key \d cannot be given memories: unauthenticated$/);
    expect(JSON.stringify(refused.rows)).not.toContain("key-");
  });

  it("asks a hundred queries of five users, half of each track", async () => {
    const rows = await load().burst();
    expect(rows).toHaveLength(100);
    expect(rows.filter(({ track }) => track === "canary")).toHaveLength(50);
    expect(new Set(rows.map(({ credential }) => credential)).size).toBe(5);
  });

  it("keeps to its rate, and has a row of all it asked when it has stopped", async () => {
    const steady = load(100);
    expect(() => { steady.start(); }).toThrow(LoadError);
    await steady.prepare();
    const before = steady.rows.length;
    const began = performance.now();
    steady.start();
    await delay(1_000);
    await steady.stop();
    const seconds = (performance.now() - began) / 1_000;
    const rows = steady.rows.slice(before);
    expect(rows.length).toBeGreaterThan(80);
    expect(rows.length).toBeLessThanOrEqual(100 * seconds + 1);
    expect(steady.rows).toHaveLength(answers.asked.length);
    expect(steady.summary().tracks.canary.failures).toBe(0);
    await delay(100);
    expect(steady.rows).toHaveLength(answers.asked.length);
    expect(answers.asked.filter(({ track }) => track === undefined).length).toBeGreaterThan(5);
  });

  it("shows a connection that broke as a row, once, by its code", async () => {
    answers.isCut = true;
    const rows = await load().burst();
    const cut = rows.filter(({ asked }) => asked === "canary");
    expect(cut).toHaveLength(50);
    for (const row of cut) expect(row).toMatchObject({ track: null, status: 0, reranked: null });
    expect(new Set(cut.map(({ error }) => error))).toEqual(new Set(["UND_ERR_SOCKET"]));
    expect(answers.asked).toHaveLength(100);
  });

  it("excuses integrity failures of the candidate as far as stable has them, of each user once", async () => {
    answers.failures = { canary: 3, stable: 2 };
    const compared = load();
    await compared.burst();
    await compared.stop();
    expect(compared.excusedIntegrityFailures).toBe(5 * 2);
  });

  it("excuses none that stable does not have", async () => {
    answers.failures = { canary: 3, stable: 0 };
    const compared = load();
    await compared.burst();
    await compared.stop();
    expect(compared.excusedIntegrityFailures).toBe(0);
    expect(compared.rows.length).toBeGreaterThan(100);
  });
});
