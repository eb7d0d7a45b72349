import { Memseal, MemsealError, type Memory, type MemsealUser, type SearchEvent } from "@memseal/client";
import type { Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

let stack: Stack;
let gateway: Gateway;
let ada: MemsealUser;
let memseal: Memseal;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway();
  memseal = new Memseal({ url: gateway.url, apiKey: await stack.createKey("ada", ["read", "write", "admin"]), delegate: false });
  ada = memseal.forUser("ada");
});

afterAll(() => stack.stop());

const failure = (call: Promise<unknown>) => call.then(() => { throw new Error("it succeeded"); }, (error: unknown) => error as MemsealError);

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("the client", () => {
  it("adds, finds, streams, lists, changes, looks back and deletes", async () => {
    const [dog, bike] = await ada.add([{ text: "I adopted a dog named Biscuit.", tags: ["pets"], agentId: "assistant", metadata: { snake_case: { camelCase: [1, null] } }, occurredAt: new Date("2023-05-08T13:56:00Z") }, "The bike is in the garage."]);
    const turns = await ada.add({ runId: "chat", messages: [{ role: "user", content: "We moved to Bergen." }, { role: "assistant", content: "How is the rain?" }] });
    expect(turns.map(({ event, position }) => [event, position])).toEqual([["create", 0], ["create", 1]]);
    expect(await ada.add("The bike is in the garage.")).toMatchObject({ event: "duplicate", id: bike.id });

    const found = await ada.search("Which pet is there?", { topK: 2, explain: true, filters: { agentId: "assistant", occurredAt: { lt: new Date("2024-01-01") } } });
    expect(found).toMatchObject({ totalMatching: 1, dense: true, reranked: true, rerankDepth: 1, integrityFailures: 0, unknownFields: [], results: [{ rank: 1, originalRank: 1, scores: { bm25: expect.any(Number) as number, fused: expect.any(Number) as number } }] });
    expect(found.results[0].memory).toEqual(await ada.get(dog.id));
    expect(found.results[0].memory).toMatchObject({ agentId: "assistant", occurredAt: "2023-05-08T13:56:00.000Z", metadata: { snake_case: { camelCase: [1, null] } }, version: 1 });

    const events: SearchEvent[] = await collect(ada.searchStream("Where do we live?", { topK: 2 }));
    expect(events.map(({ type }) => type)).toEqual(["results", "reranked", "done"]);
    const [first, second] = events;
    if (first.type !== "results" || second.type !== "reranked") throw new Error("not in order");
    expect(first.answer).toMatchObject({ reranked: false, rerankDepth: 0, totalMatching: 4 });
    expect([second.order.length, second.rerankDepth]).toEqual([2, 4]);

    expect((await collect(ada.list({ limit: 1, filters: { runId: "chat" } }))).map(({ position }) => position)).toEqual([1, 0]);

    const changed: Memory = await ada.update(bike.id, { text: "The bike was stolen.", tags: ["home"], source: "mail" }, { ifMatch: 1 });
    expect(changed).toMatchObject({ version: 2, tags: ["home"], source: "mail" });
    expect(await ada.update(bike.id, { source: null })).not.toHaveProperty("source");
    expect((await ada.history(bike.id)).map(({ event, memory }) => [event, memory.version])).toEqual([["update", 3], ["update", 2], ["create", 1]]);

    expect(await ada.delete({ filters: { tags: { contains: "home" } } }, { dryRun: true })).toEqual({ deleted: 1 });
    expect(await ada.delete(bike.id)).toEqual({ deleted: 1 });
    expect(await ada.delete({ ids: [dog.id, bike.id] })).toEqual({ deleted: 1 });
    expect((await collect(ada.audit())).map(({ action }) => action).length).toBeGreaterThan(3);
  });

  it("puts documents of its caller in order", async () => {
    const { model, results, usage } = await ada.rerank("Which food must she avoid?", ["The bike is in the garage.", "She is allergic to walnuts."], { topN: 1, returnDocuments: true });
    expect({ model, results, usage }).toEqual({
      model: "memseal-rerank-mini",
      results: [{ index: 1, relevanceScore: expect.any(Number) as number, document: { text: "She is allergic to walnuts." } }],
      usage: { promptTokens: 32, completionTokens: 0, totalTokens: 32 },
    });
    expect(await failure(ada.rerank("", ["a"]))).toMatchObject({ code: "invalid_argument", field: "query" });
  });

  it("says what was wrong, as the service says it", async () => {
    const stale = await ada.add("a");
    await ada.update(stale.id, { text: "b" });
    expect(await failure(ada.update(stale.id, { text: "c" }, { ifMatch: 1 }))).toMatchObject({ code: "failed_precondition", status: 412 });
    expect(await failure(ada.search("a", { filters: { "metadata.a": { contains: null }, tags: { exists: "yes" as never } } }))).toMatchObject({ code: "invalid_argument", status: 400, field: "filters.tags.exists", requestId: expect.any(String) as string });
    expect(await failure(ada.get("01a20584-9b7e-7331-9f7e-854f115560fb"))).toMatchObject({ code: "not_found", status: 404 });
    expect(await failure(memseal.forUser("bob").list().next())).toMatchObject({ code: "permission_denied", status: 403 });
    expect(await failure(new Memseal({ url: gateway.url, apiKey: "msk_none" }).forOwnUser().listPage())).toMatchObject({ code: "unauthenticated", status: 401 });
  });

  it("writes once what it sends twice, and not what another body is sent for", async () => {
    const [one, again] = [await ada.add("once", { idempotencyKey: "k-1" }), await ada.add("once", { idempotencyKey: "k-1" })];
    expect(again).toEqual(one);
    expect(await failure(ada.add("twice", { idempotencyKey: "k-1" }))).toMatchObject({ code: "already_exists", status: 409 });
  });

  it("ends with its caller's time and patience", async () => {
    await stack.whileRerankerStands(async () => {
      expect(await failure(ada.add("needs the embedder", { timeoutMs: 300 }))).toMatchObject({ code: "deadline_exceeded" });
      await expect(ada.add("needs it, too", { signal: AbortSignal.timeout(100) })).rejects.toThrow(/aborted/);
    });
  });

  it("erases a user", async () => {
    expect(await ada.erase()).toMatchObject({ erasedAt: expect.any(String) as string, rootKeyId: expect.any(String) as string, signed: expect.any(String) as string });
    expect(await collect(ada.list())).toEqual([]);
  });
});
