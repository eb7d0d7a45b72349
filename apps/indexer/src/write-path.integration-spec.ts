import type { UserHash } from "@memseal/crypto";
import { newTenant, notes, putOf, randomVector, startIndexerTest, type IndexerTest, type TestIndexer, type TestMemory } from "./indexer.fixture.js";

let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

const callOf = (tenant: UserHash, idempotencyKey: string) => indexer.callOf(tenant, { idempotencyKey });
const putTwice = async (tenant: UserHash, memories = notes(2), by = [indexer, test.newIndexer()]) => {
  const command = putOf(memories);
  return [await by[0].put.put(callOf(tenant, "k"), command), await by[1].put.put(callOf(tenant, "k"), command)] as const;
};

describe("a repeated request", () => {
  it("to put is answered as the first was, by any indexer, and stores nothing", async () => {
    const tenant = newTenant();
    const [first, again] = await putTwice(tenant);
    expect([first.isReplayed, again.isReplayed]).toEqual([false, true]);
    expect(again.answer).toEqual(first.answer);
    expect(again.answer.map(({ event }) => event)).toEqual(["create", "create"]);
    expect(await test.countOf(tenant, "memory")).toBe(2);
    // Also of what would not be taken for a duplicate.
    const run = notes(1, { runId: "r" });
    for (let i = 0; i < 3; i++) await indexer.put.put(callOf(tenant, "turn"), putOf(run));
    expect(await test.countOf(tenant, "memory")).toBe(3);
  });

  it("to put is told by what its caller gave: own vectors count, those of the embedder and its name do not", async () => {
    const tenant = newTenant();
    const [own, embedded] = [{ ...notes(1)[0], hasOwnVector: true }, notes(1)[0]];
    const put = (memories: TestMemory[], model: string) => indexer.put.put(callOf(tenant, "k"), putOf(memories, model));
    const first = await put([own, embedded], "mini");
    expect(await put([own, { ...embedded, vector: randomVector() }], "large")).toEqual({ ...first, isReplayed: true });
    await expect(put([{ ...own, vector: randomVector() }, embedded], "mini")).rejects.toMatchObject({ code: "already_exists" });
    await expect(put([own, { ...embedded, hasOwnVector: true }], "mini")).rejects.toMatchObject({ code: "already_exists" });
    expect(await test.countOf(tenant, "memory")).toBe(2);
  });

  it("to put that the release before answered is known, too", async () => {
    const tenant = newTenant();
    const { vector, ...content } = notes(1)[0];
    const first = await indexer.put.put(callOf(tenant, "k"), putOf([{ ...content, vector }], "mini"));
    const requestRefOf = async (text: string) => (await (await test.keysOf(tenant)).referenceKey()).reference("request", "put", `{"memories":[[{"tags":[],"text":"${text}"},[]]],"model":"mini"}`);
    await test.rowsOf(tenant, "UPDATE memseal.idempotency SET request_ref = $2 WHERE user_hash = $1", await requestRefOf(content.text));
    expect(await indexer.put.put(callOf(tenant, "k"), putOf([{ ...content, vector }], "mini"))).toEqual({ ...first, isReplayed: true });
    await test.rowsOf(tenant, "UPDATE memseal.idempotency SET request_ref = $2 WHERE user_hash = $1", await requestRefOf("another text"));
    await expect(indexer.put.put(callOf(tenant, "k"), putOf([{ ...content, vector }], "mini"))).rejects.toMatchObject({ code: "already_exists" });
  });

  it("to update is answered with the version it made, though others followed", async () => {
    const tenant = newTenant();
    const { id } = await indexer.put1(tenant, notes(1)[0]);
    const command = { id, changes: { role: "a" }, chunks: [], model: "m" };
    const first = await indexer.update.update(callOf(tenant, "k"), command);
    await indexer.update.update(indexer.callOf(tenant), { ...command, changes: { role: "b" } });
    const again = await indexer.update.update(callOf(tenant, "k"), command);
    expect(again).toEqual({ ...first, isReplayed: true });
    expect(await indexer.reads.get(tenant, id)).toMatchObject({ role: "b", version: 3 });
    await indexer.deletes.deleteOne(indexer.callOf(tenant), id);
    await expect(indexer.update.update(callOf(tenant, "k"), command)).rejects.toMatchObject({ code: "not_found" });
  });

  it("to delete is answered as the first was, though the memory is gone", async () => {
    const tenant = newTenant();
    const [one] = await indexer.add(tenant, notes(3));
    expect(await indexer.deletes.deleteOne(callOf(tenant, "k"), one)).toEqual({ answer: 1, isReplayed: false });
    expect(await indexer.deletes.deleteOne(callOf(tenant, "k"), one)).toEqual({ answer: 1, isReplayed: true });
    const everything = { selection: { all: true }, dryRun: false } as const;
    expect(await indexer.deletes.deleteMany(callOf(tenant, "k"), everything)).toEqual({ answer: 2, isReplayed: false });
    await indexer.add(tenant, notes(1));
    expect(await indexer.deletes.deleteMany(callOf(tenant, "k"), everything)).toEqual({ answer: 2, isReplayed: true });
    expect(await test.countOf(tenant, "memory")).toBe(1);
  });

  it("of a failed one is a first one", async () => {
    const tenant = newTenant();
    const [memory] = notes(1);
    await expect(indexer.put.put(callOf(tenant, "k"), putOf([{ ...memory, expiresAt: new Date(1) }]))).rejects.toMatchObject({ code: "invalid_argument" });
    expect((await indexer.put.put(callOf(tenant, "k"), putOf([memory]))).isReplayed).toBe(false);
  });

  it("many at once, over several indexers, is done once; each answer is that one or says to wait", async () => {
    const tenant = newTenant();
    await indexer.add(tenant, notes(1));
    const others = [indexer, test.newIndexer(), test.newIndexer()];
    const command = putOf(notes(1, { runId: "r" }));
    const outcomes = await Promise.allSettled(Array.from({ length: 12 }, (_v, i) => others[i % 3].put.put(callOf(tenant, "k"), command)));
    const answers = outcomes.filter((outcome) => outcome.status === "fulfilled").map(({ value }) => value);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "aborted", retryAfterS: 1, message: expect.stringContaining("in flight") as string });
    }
    expect(answers.filter(({ isReplayed }) => !isReplayed)).toHaveLength(1);
    for (const { answer } of answers) expect(answer).toEqual(answers[0].answer);
    expect(await test.countOf(tenant, "memory")).toBe(2);
  });
});

describe("a write that another process has done meanwhile", () => {
  it("undoes itself alone, among those it was to be committed with", async () => {
    const tenant = newTenant();
    const [one, other] = [indexer, test.newIndexer()];
    await Promise.all([one, other].map((by) => by.add(tenant, notes(1))));
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      const command = putOf(notes(1, { runId: "r" }));
      const twice = (by: TestIndexer) => by.put.put(callOf(tenant, `round ${round}`), command);
      // The first of them holds the queue, so that the others are committed together.
      await Promise.all([other.add(tenant, notes(1)), twice(one), other.add(tenant, notes(1)), twice(other), other.add(tenant, notes(1))]);
    }
    expect(await test.countOf(tenant, "memory")).toBe(2 + rounds * 4);
  });
});

describe("an idempotency key", () => {
  it("that another request has used is refused, and neither is harmed", async () => {
    const tenant = newTenant();
    await putTwice(tenant);
    await expect(indexer.put.put(callOf(tenant, "k"), putOf(notes(1)))).rejects.toMatchObject({ code: "already_exists" });
    expect(await test.countOf(tenant, "memory")).toBe(2);
  });

  it("is the method's and the user's own", async () => {
    const [alice, bob] = [newTenant(), newTenant()];
    const memories = notes(1);
    const [first] = await putTwice(alice, memories);
    const [other] = await putTwice(bob, memories);
    expect(other.isReplayed).toBe(false);
    expect(other.answer[0].id).not.toBe(first.answer[0].id);
    expect((await indexer.deletes.deleteOne(callOf(alice, "k"), first.answer[0].id)).isReplayed).toBe(false);
  });

  it("and its answer say nothing to a thief of the database, and open in no other key's place", async () => {
    const tenant = newTenant();
    const name = "order-66-of-maya";
    const command = putOf(notes(1));
    const { answer: [{ id }] } = await indexer.put.put(callOf(tenant, name), command);
    const [record] = await test.rowsOf<{ sealed_response: Buffer }>(tenant, "SELECT * FROM memseal.idempotency WHERE user_hash = $1");
    const stored = Object.values(record).map((value) => (Buffer.isBuffer(value) ? value.toString("latin1") : String(value))).join();
    for (const word of [name, id, "create"]) expect(stored).not.toContain(word);

    const other = putOf(notes(1));
    await indexer.put.put(callOf(tenant, "other"), other);
    await test.rowsOf(tenant, "UPDATE memseal.idempotency SET sealed_response = $2 WHERE user_hash = $1", record.sealed_response);
    expect((await indexer.put.put(callOf(tenant, name), command)).isReplayed).toBe(true);
    await expect(indexer.put.put(callOf(tenant, "other"), other)).rejects.toMatchObject({ code: "data_loss" });
  });
});
