import { DeadlineExceededError, OverloadedError } from "@memseal/errors";
import { WorkQueue, type CallScope, type Task } from "./work-queue.js";

const patient = (): CallScope => ({ signal: new AbortController().signal, deadlineMs: Infinity });

/** A task that ends when told to, and says whether it began. */
class Gate {
  #open!: (result: string) => void;
  #fail!: (error: Error) => void;
  readonly #ended = new Promise<string>((resolve, reject) => {
    this.#open = resolve;
    this.#fail = reject;
  });
  begun = false;

  readonly task: Task<string, string> = (worker) => {
    this.begun = true;
    return this.#ended.then((result) => `${worker}:${result}`);
  };

  open(result = "done"): void { this.#open(result); }
  fail(error: Error): void { this.#fail(error); }
}

const gates = (count: number) => Array.from({ length: count }, () => new Gate());
const tasksOf = (list: readonly Gate[]) => list.map(({ task }) => task);
const settle = () => new Promise((resolve) => setImmediate(resolve));
const queueOf = (workers: string[], capacities = { query: 10, document: 10 }) => new WorkQueue<string, "query" | "document">(workers, capacities);

describe("WorkQueue", () => {
  it("gives results in the order of the tasks, whatever ends first", async () => {
    const [first, second] = gates(2);
    const answer = queueOf(["a", "b"]).submit("query", tasksOf([first, second]), patient());
    second.open("2");
    await settle();
    first.open("1");
    expect((await answer).map((result) => result.slice(2))).toEqual(["1", "2"]);
  });

  it("gives a worker one task at a time", async () => {
    const list = gates(3);
    const answer = queueOf(["a", "b"]).submit("query", tasksOf(list), patient());
    expect(list.map(({ begun }) => begun)).toEqual([true, true, false]);
    list[1].open();
    await settle();
    expect(list[2].begun).toBe(true);
    for (const gate of list) gate.open();
    await answer;
  });

  it("takes a query before the documents that were there first", async () => {
    const queue = queueOf(["a"]);
    const documents = gates(2);
    const query = new Gate();
    const embedded = queue.submit("document", tasksOf(documents), patient());
    const answered = queue.submit("query", [query.task], patient());
    documents[0].open();
    await settle();
    expect([query.begun, documents[1].begun]).toEqual([true, false]);
    query.open();
    documents[1].open();
    await Promise.all([embedded, answered]);
  });

  it("refuses a call at once when its lane is full", async () => {
    const queue = queueOf(["a"], { query: 2, document: 3 });
    const list = gates(3);
    const waiting = queue.submit("query", tasksOf(list), patient());
    // One runs and two wait: as many as may be ahead of a query, one fewer than may be ahead of a document.
    await expect(queue.submit("query", [new Gate().task], patient())).rejects.toThrow(OverloadedError);
    const document = new Gate();
    const behind = queue.submit("document", [document.task], patient());
    await expect(queue.submit("document", [new Gate().task], patient())).rejects.toThrow(OverloadedError);
    for (const gate of [...list, document]) gate.open();
    await Promise.all([waiting, behind]);
  });

  it("admits a call of more tasks than may wait ahead of it", async () => {
    const list = gates(20);
    const answer = queueOf(["a"]).submit("query", tasksOf(list), patient());
    for (const gate of list) gate.open();
    expect(await answer).toHaveLength(20);
  });

  it("drops what waits of a caller that left, and makes room at once", async () => {
    const queue = queueOf(["a"], { query: 2, document: 2 });
    const leaver = new AbortController();
    const list = gates(3);
    const left = queue.submit("query", tasksOf(list), { signal: leaver.signal, deadlineMs: Infinity });
    leaver.abort();
    await expect(left).rejects.toMatchObject({ code: "cancelled" });

    const next = new Gate();
    const answer = queue.submit("query", [next.task], patient());
    list[0].open();
    await settle();
    expect(list.map(({ begun }) => begun)).toEqual([true, false, false]);
    next.open();
    expect(await answer).toEqual(["a:done"]);
  });

  it("does not begin for a caller that has left already", async () => {
    const gate = new Gate();
    await expect(queueOf(["a"]).submit("query", [gate.task], { signal: AbortSignal.abort(), deadlineMs: Infinity })).rejects.toMatchObject({ code: "cancelled" });
    expect(gate.begun).toBe(false);
  });

  it("drops a task whose deadline passed before its turn", async () => {
    const queue = queueOf(["a"]);
    const [busy, late, next] = gates(3);
    const first = queue.submit("query", [busy.task], patient());
    const expired = queue.submit("query", [late.task], { ...patient(), deadlineMs: Date.now() + 5 });
    const third = queue.submit("query", [next.task], patient());
    await new Promise((resolve) => setTimeout(resolve, 10));
    busy.open();
    await expect(expired).rejects.toThrow(DeadlineExceededError);
    expect(late.begun).toBe(false);
    next.open();
    await Promise.all([first, third]);
  });

  it("fails the whole call with what one task threw, drops the rest, and goes on", async () => {
    const queue = queueOf(["a"]);
    const list = gates(2);
    const failed = queue.submit("query", tasksOf(list), patient());
    const next = new Gate();
    const answer = queue.submit("query", [next.task], patient());
    list[0].fail(new Error("the worker died"));
    await expect(failed).rejects.toThrow("the worker died");
    next.open();
    await answer;
    expect(list[1].begun).toBe(false);
  });

  it("answers a call of nothing with nothing", async () => {
    await expect(queueOf([]).submit("query", [], patient())).resolves.toEqual([]);
  });
});
