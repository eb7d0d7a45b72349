import { DeadlineExceededError, OverloadedError } from "@memseal/errors";
import fc from "fast-check";
import { Batcher, fittingCount, oneAtATime, type CallScope, type LaneSpec, type Work } from "./batcher.js";

const patient = (caller = "a"): CallScope => ({ signal: new AbortController().signal, deadlineMs: Infinity, caller });

/** An item that is done when told to, and says whether it began. */
class Gate {
  #open!: (result: string) => void;
  #fail!: (error: Error) => void;
  readonly #ended = new Promise<string>((resolve, reject) => {
    this.#open = resolve;
    this.#fail = reject;
  });
  begun = false;

  run(worker: string): Promise<string> {
    this.begun = true;
    return this.#ended.then((result) => `${worker}:${result}`);
  }

  open(result = "done"): void { this.#open(result); }
  fail(error: Error): void { this.#fail(error); }
}

const GATED = oneAtATime((worker: string, gate: Gate) => gate.run(worker));
const gates = (count: number) => Array.from({ length: count }, () => new Gate());
const settle = () => new Promise((resolve) => setImmediate(resolve));
const lane = (capacity: number, turn = 100): LaneSpec => ({ capacity, turn });
const batcherOf = (workers: string[], lanes = { query: lane(10), document: lane(10) }) => new Batcher<string, "query" | "document">(workers, lanes);

/** Work on items named by letter and tokens, such as `a12`; runs are remembered and end at once. */
function sized(maxTokens: number): { work: Work<string, string, string>; runs: string[][] } {
  const runs: string[][] = [];
  return {
    runs,
    work: {
      run: async (_worker, items) => {
        runs.push([...items]);
        await settle();
        return items.map((item) => item.toUpperCase());
      },
      tokensOf: (item) => Number(item.slice(1)),
      maxTokens,
    },
  };
}

/** An item is 10 tokens and takes 20 ms. */
const SLOW: Work<string, string, string> = {
  run: async (_worker, items) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return [...items];
  },
  tokensOf: () => 10,
  maxTokens: 0,
};

describe("Batcher", () => {
  it("gives results in the order of the items, whatever ends first, and each as soon as it is known", async () => {
    const [first, second] = gates(2);
    const seen: number[] = [];
    const answer = batcherOf(["a", "b"]).submit("query", GATED, [first, second], patient(), (index) => seen.push(index));
    second.open("2");
    await settle();
    expect(seen).toEqual([1]);
    first.open("1");
    expect((await answer).map((result) => result.slice(2))).toEqual(["1", "2"]);
    expect(seen).toEqual([1, 0]);
  });

  it("gives a worker one run at a time", async () => {
    const list = gates(3);
    const answer = batcherOf(["a", "b"]).submit("query", GATED, list, patient());
    expect(list.map(({ begun }) => begun)).toEqual([true, true, false]);
    list[1].open();
    await settle();
    expect(list[2].begun).toBe(true);
    for (const gate of list) gate.open();
    await answer;
  });

  it("takes a query before the documents that were there first", async () => {
    const batcher = batcherOf(["a"]);
    const documents = gates(2);
    const query = new Gate();
    const embedded = batcher.submit("document", GATED, documents, patient());
    const answered = batcher.submit("query", GATED, [query], patient());
    documents[0].open();
    await settle();
    expect([query.begun, documents[1].begun]).toEqual([true, false]);
    query.open();
    documents[1].open();
    await Promise.all([embedded, answered]);
  });

  it("takes items as they come, and ends when all have", async () => {
    const { work, runs } = sized(0);
    const call = batcherOf(["w"]).enter("query", work, { items: 2, tokens: 2 }, patient());
    call.add(1, "b1");
    await settle();
    expect(runs).toEqual([["b1"]]);
    call.add(0, "a1");
    expect(await call.done).toEqual(["A1", "B1"]);
  });

  it("ends a call whose items cannot come, and leaves no rejection unhandled", async () => {
    const { work, runs } = sized(0);
    const batcher = batcherOf(["w"]);
    const call = batcher.enter("query", work, { items: 2, tokens: 2 }, patient());
    call.fail(new Error("the tokeniser died"));
    call.add(0, "a1");
    await settle();
    expect([runs, batcher.waiting]).toEqual([[], 0]);
    await expect(call.done).rejects.toThrow("the tokeniser died");
  });
});

describe("a run", () => {
  it("holds what fits its budget, the shortest of a call first, each counted as long as the longest", async () => {
    const { work, runs } = sized(200);
    await batcherOf(["w"]).submit("query", work, ["a100", "b10", "c100", "d10", "e10"], patient());
    // The first is taken as it comes: nothing waits for more.
    expect(runs).toEqual([["a100"], ["b10", "d10", "e10"], ["c100"]]);
  });

  it("is filled with what waits of others, of the same work alone", async () => {
    const { work, runs } = sized(40);
    const other = sized(40);
    const batcher = batcherOf(["w"]);
    const answers = [
      batcher.submit("query", work, ["a40"], patient("x")),
      batcher.submit("query", work, ["b10"], patient("x")),
      batcher.submit("query", work, ["c10", "d10"], patient("y")),
      batcher.submit("query", other.work, ["e10"], patient("z")),
    ];
    expect(await Promise.all(answers)).toEqual([["A40"], ["B10"], ["C10", "D10"], ["E10"]]);
    expect(runs).toEqual([["a40"], ["b10", "c10", "d10"]]);
    expect(other.runs).toEqual([["e10"]]);
  });

  it("is one item where the budget is nothing, and never holds nothing or more than its budget", async () => {
    await fc.assert(fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 1, max: 256 }), { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(0, 100, 2_000),
      fc.integer({ min: 1, max: 3 }),
      async (calls, maxTokens, workers) => {
        const { work, runs } = sized(maxTokens);
        const batcher = new Batcher<string, "one">(Array.from({ length: workers }, (_, n) => `w${n}`), { one: lane(Infinity, 4) });
        const names = calls.map((lengths, c) => lengths.map((length) => `${"abcdef"[c]}${length}`));
        const answers = await Promise.all(names.map((items, c) => batcher.submit("one", work, items, patient(String(c % 2)))));
        expect(answers).toEqual(names.map((items) => items.map((item) => item.toUpperCase())));
        expect(runs.flat().sort()).toEqual(names.flat().sort());
        for (const run of runs) {
          const longest = Math.max(...run.map((item) => Number(item.slice(1))));
          expect(run.length === 1 || run.length * longest <= maxTokens).toBe(true);
        }
        expect(batcher.waiting).toBe(0);
      },
    ), { numRuns: 60 });
  });

  it("that fails, fails the calls that were in it, drops what is left of them, and the next goes on", async () => {
    const batcher = batcherOf(["w"]);
    const list = gates(2);
    const failed = batcher.submit("query", GATED, list, patient());
    const next = new Gate();
    const answer = batcher.submit("query", GATED, [next], patient());
    list[0].fail(new Error("the worker died"));
    await expect(failed).rejects.toThrow("the worker died");
    next.open();
    await answer;
    expect(list[1].begun).toBe(false);
  });

  it("that gives another count of results than it has items fails, rather than mix them up", async () => {
    const work: Work<string, string, string> = { run: (_worker, items) => Promise.resolve(items.slice(1)), tokensOf: () => 1, maxTokens: 10 };
    await expect(batcherOf(["w"]).submit("query", work, ["a", "b"], patient())).rejects.toThrow("a run of 1 items gave 0 results");
  });
});

describe("callers", () => {
  it("take turns, and none waits for another's whole call", async () => {
    const { work, runs } = sized(0);
    const batcher = new Batcher<string, "one">(["w"], { one: lane(Infinity, 2) });
    await Promise.all([
      batcher.submit("one", work, ["a1", "a2", "a3", "a4", "a5", "a6"], patient("bulk")),
      batcher.submit("one", work, ["b1", "b2", "b3"], patient("search")),
      batcher.submit("one", work, ["c1"], patient("other")),
    ]);
    expect(runs.flat().join(" ")).toBe("a1 a2 b1 b2 c1 a3 a4 b3 a5 a6");
  });

  it("are served in order of arrival among their own calls", async () => {
    const { work, runs } = sized(0);
    const batcher = new Batcher<string, "one">(["w"], { one: lane(Infinity, 100) });
    await Promise.all(["a1", "b1", "c1"].map((item) => batcher.submit("one", work, [item], patient())));
    expect(runs.flat()).toEqual(["a1", "b1", "c1"]);
  });

  it("are refused for what is ahead of them by turns, not for what another has waiting", async () => {
    const batcher = new Batcher<string, "one">(["w"], { one: lane(4, 2) });
    const bulk = gates(50);
    const waiting = batcher.submit("one", GATED, bulk, patient("bulk"));
    // Its own 49 are ahead of the same caller; two of them, a turn, ahead of another's call of one.
    expect(() => batcher.enter("one", GATED, { items: 1, tokens: 1 }, patient("bulk"))).toThrow(OverloadedError);
    const search = new Gate();
    const answer = batcher.submit("one", GATED, [search], patient("search"));
    for (const gate of [...bulk, search]) gate.open();
    await Promise.all([waiting, answer]);
  });
});

describe("a call that may be shortened", () => {
  const calls = fc.record({
    tokens: fc.array(fc.integer({ min: 1, max: 256 }), { minLength: 1, maxLength: 100 }),
    atLeast: fc.integer({ min: 1, max: 120 }),
    aheadTokens: fc.integer({ min: 0, max: 20_000 }),
    inTimeTokens: fc.integer({ min: -1_000, max: 40_000 }),
  });
  const sumOf = (tokens: readonly number[]) => tokens.reduce((sum, one) => sum + one, 0);

  it("is of no fewer items than are enough, of no more than there are, and beyond what is enough of no more than are done in 0.6 of its time", () => {
    fc.assert(fc.property(calls, ({ tokens, ...rest }) => {
      const count = fittingCount(tokens, rest);
      const enough = Math.min(rest.atLeast, tokens.length);
      expect(count >= enough && count <= tokens.length).toBe(true);
      const doneAt = (items: number) => rest.aheadTokens + sumOf(tokens.slice(0, items));
      if (count > enough) expect(doneAt(count)).toBeLessThanOrEqual(0.6 * rest.inTimeTokens);
      if (count < tokens.length) expect(doneAt(count + 1)).toBeGreaterThan(0.6 * rest.inTimeTokens);
    }));
  });

  it("is of no fewer items with more time or less ahead", () => {
    fc.assert(fc.property(calls, fc.nat(10_000), ({ tokens, ...rest }, more) => {
      const count = fittingCount(tokens, rest);
      expect(fittingCount(tokens, { ...rest, inTimeTokens: rest.inTimeTokens + more })).toBeGreaterThanOrEqual(count);
      expect(fittingCount(tokens, { ...rest, aheadTokens: rest.aheadTokens + more })).toBeLessThanOrEqual(count);
    }));
  });

  it("leaves those who come next their part: the first are of the most items, and the last are not refused", async () => {
    const batcher = new Batcher<string, "one">(["w"], { one: lane(Infinity) });
    await batcher.submit("one", SLOW, ["a"], patient());
    // 0.6 of the time is enough for 45 items of 20 ms.
    const scope = { ...patient(), deadlineMs: Date.now() + 1_500 };
    const counts = Array.from({ length: 4 }, () => {
      const items = batcher.fitting("one", Array<number>(20).fill(10), 2, scope);
      batcher.enter("one", SLOW, { items, tokens: 10 * items }, scope);
      return items;
    });
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
    expect(counts[0]).toBeGreaterThan(10);
    expect(counts.at(-1)).toBe(2);
  });

  it("is of all its items while nothing has run", () => {
    expect(batcherOf(["w"]).fitting("query", [10, 10, 10], 1, { ...patient(), deadlineMs: Date.now() })).toBe(3);
  });
});

describe("a call", () => {
  it("is refused at once when too much is ahead", async () => {
    const batcher = batcherOf(["a"], { query: lane(2), document: lane(3) });
    const list = gates(3);
    const waiting = batcher.submit("query", GATED, list, patient());
    // One runs and two wait: as many as may be ahead of a query, one fewer than may be ahead of a document.
    await expect(batcher.submit("query", GATED, gates(1), patient())).rejects.toThrow(OverloadedError);
    const document = new Gate();
    const behind = batcher.submit("document", GATED, [document], patient());
    await expect(batcher.submit("document", GATED, gates(1), patient())).rejects.toThrow(OverloadedError);
    for (const gate of [...list, document]) gate.open();
    await Promise.all([waiting, behind]);
  });

  it("of more items than may be ahead is admitted where little is", async () => {
    const list = gates(20);
    const answer = batcherOf(["a"]).submit("query", GATED, list, patient());
    for (const gate of list) gate.open();
    expect(await answer).toHaveLength(20);
  });

  it("that could not be done before its deadline is refused at once, once it is known how long things take", async () => {
    const batcher = new Batcher<string, "one">(["w"], { one: lane(Infinity) });
    await batcher.submit("one", SLOW, ["a"], patient());
    const ahead = batcher.submit("one", SLOW, Array<string>(10).fill("b"), patient("x"));
    const hurried = { ...patient("y"), deadlineMs: Date.now() + 60 };
    // 9 items of 20 ms are ahead, a turn of theirs; alone it would be tried.
    await expect(batcher.submit("one", SLOW, ["c"], hurried)).rejects.toThrow(OverloadedError);
    await expect(batcher.submit("one", SLOW, ["d"], { ...patient("y"), deadlineMs: Date.now() + 2_000 })).resolves.toEqual(["d"]);
    await ahead;
    await expect(batcher.submit("one", SLOW, ["e"], { ...patient("y"), deadlineMs: Date.now() + 60 })).resolves.toEqual(["e"]);
  });

  it("is not refused because tokens are fewer than was thought", async () => {
    const batcher = new Batcher<string, "one">(["w"], { one: lane(Infinity) });
    const enter = (items: number, timeMs: number) => {
      const call = batcher.enter("one", SLOW, { items, tokens: 100 * items }, { ...patient(), deadlineMs: Date.now() + timeMs });
      for (let i = 0; i < items; i++) call.add(i, "a");
      return call.done;
    };
    await enter(1, 10_000);
    const ahead = enter(10, 10_000);
    // 200 ms are ahead of it, where 2 ms for each of the ten tokens of an item would make 2 s of a guess of 100.
    await expect(enter(1, 1_000)).resolves.toHaveLength(1);
    await ahead;
  });

  it("whose caller left is dropped before it gets into a run, and makes room at once", async () => {
    const batcher = batcherOf(["a"], { query: lane(2), document: lane(2) });
    const leaver = new AbortController();
    const list = gates(3);
    const left = batcher.submit("query", GATED, list, { ...patient(), signal: leaver.signal });
    leaver.abort();
    await expect(left).rejects.toMatchObject({ code: "cancelled" });

    const next = new Gate();
    const answer = batcher.submit("query", GATED, [next], patient());
    list[0].open();
    await settle();
    expect(list.map(({ begun }) => begun)).toEqual([true, false, false]);
    next.open();
    expect(await answer).toEqual(["a:done"]);
  });

  it("does not begin for a caller that has left already", async () => {
    const gate = new Gate();
    await expect(batcherOf(["a"]).submit("query", GATED, [gate], { ...patient(), signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "cancelled" });
    expect(gate.begun).toBe(false);
  });

  it("whose deadline passed before its turn is dropped", async () => {
    const batcher = batcherOf(["a"]);
    const [busy, late, next] = gates(3);
    const first = batcher.submit("query", GATED, [busy], patient());
    const expired = batcher.submit("query", GATED, [late], { ...patient(), deadlineMs: Date.now() + 5 });
    const third = batcher.submit("query", GATED, [next], patient());
    await new Promise((resolve) => setTimeout(resolve, 10));
    busy.open();
    await expect(expired).rejects.toThrow(DeadlineExceededError);
    expect(late.begun).toBe(false);
    next.open();
    await Promise.all([first, third]);
  });

  it("of nothing is answered with nothing", async () => {
    await expect(batcherOf([]).submit("query", GATED, [], patient())).resolves.toEqual([]);
  });
});
