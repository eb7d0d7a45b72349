import fc from "fast-check";
import { DimensionMismatchError, NotFilterableError } from "./errors.js";
import { matches, type Filter } from "./filter.js";
import { TenantIndex, type Hit, type IndexedMemory, type SearchRequest } from "./tenant-index.js";

const DIMENSION = 5;
const DAY_MS = 86_400_000;
const NOW = 100 * DAY_MS;
const STOP_WORD = "the";
// Each is its own stem, so that the naive search needs no stemmer.
const WORDS = ["cat", "dog", "fish", "tree", "moon", STOP_WORD];

interface ScoredChunk {
  memory: IndexedMemory;
  chunkNo: number;
  bm25: number;
  similarity: number;
  /** With what the neighbours lent. */
  bm25InContext: number;
  similarityInContext: number;
  context: number;
  decay: number;
  fused: number;
}

const terms = (text: string): string[] => text.split(" ").filter((word) => word !== "" && word !== STOP_WORD);
const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => total([...x].map((value, at) => value * y[at]));
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function deviation(values: number[]): number {
  const mean = total(values) / values.length;
  return Math.sqrt(total(values.map((value) => (value - mean) ** 2)) / values.length);
}

function zScores(values: number[]): number[] {
  const mean = total(values) / values.length;
  const spread = deviation(values);
  return values.map((value) => (spread < 1e-6 ? 0 : (value - mean) / spread));
}

function passes({ id, fields }: IndexedMemory, { filter, now, asOf }: SearchRequest): boolean {
  const { expires_at: expiresAt = Infinity, occurred_at: occurredAt = -Infinity } = fields;
  return expiresAt > now && occurredAt <= (asOf ?? Infinity) && (filter === undefined || matches(filter, { ...fields, id }));
}

/** Every passing chunk's scores, straight from the definitions, in double precision and without any index. */
function scoreNaively(memories: IndexedMemory[], request: SearchRequest): ScoredChunk[] {
  const { query, vector, mode = "hybrid", context: lends = true, now, halfLifeDays } = request;
  const texts = memories.flatMap(({ heading, chunks }) => chunks.map(({ text }) => terms(`${heading} ${text}`)));
  const averageLength = total(texts.map((text) => text.length)) / texts.length;
  const bm25 = (text: string[]): number =>
    total(
      terms(query).map((term) => {
        const tf = text.filter((word) => word === term).length;
        const df = texts.filter((words) => words.includes(term)).length;
        if (tf === 0) return 0;
        const idf = Math.log(1 + (texts.length - df + 0.5) / (df + 0.5));
        return idf * (tf / (tf + 0.9 * (1 - 0.4 + 0.4 * (text.length / averageLength))));
      }),
    );
  const own = memories
    .filter((memory) => passes(memory, request))
    .flatMap((memory) =>
      memory.chunks.map((chunk, chunkNo) => ({
        memory,
        chunkNo,
        bm25: bm25(terms(`${memory.heading} ${chunk.text}`)),
        similarity: vector ? cosine(vector, chunk.vector) : 0,
      })),
    );
  type Own = (typeof own)[number];
  const isNext = (a: Own, b: Own): boolean => {
    const inRun = a.memory.fields.run_id !== undefined && a.memory.fields.run_id === b.memory.fields.run_id && b.memory.position === a.memory.position! + 1;
    return inRun && b.chunkNo === 0 && a.chunkNo === a.memory.chunks.length - 1;
  };
  const byMemory = (chunk: Own, kind: "bm25" | "similarity"): number => 0.75 * (Math.max(...own.filter(({ memory }) => memory === chunk.memory).map((other) => other[kind])) - chunk[kind]);
  const after = new Map(own.map((chunk) => [chunk, own.find((other) => isNext(chunk, other))]));
  const before = new Map([...after].flatMap(([chunk, next]) => (next === undefined ? [] : [[next, chunk] as const])));
  const byNeighbours = (chunk: Own, kind: "bm25" | "similarity"): number =>
    total([after, before].map((beside) => {
      const neighbour = beside.get(chunk);
      const beyond = neighbour && beside.get(neighbour);
      const [near, far] = kind === "bm25" ? [0.3, 0.2] : [0.15, 0.1];
      return near * (neighbour?.[kind] ?? 0) + far * (beyond?.[kind] ?? 0);
    }));
  const lent = (chunk: Own, kind: "bm25" | "similarity"): number => Number(lends) * (byMemory(chunk, kind) + byNeighbours(chunk, kind));
  const inContext = own.map((chunk) => ({
    ...chunk,
    bm25InContext: chunk.bm25 + lent(chunk, "bm25"),
    similarityInContext: chunk.similarity + lent(chunk, "similarity"),
  }));
  const deciding = ([["bm25", "bm25InContext"], ["similarity", "similarityInContext"]] as const).filter(([kind]) => mode === "hybrid" || (mode === "lexical") === (kind === "bm25"));
  const parts = deciding.map(([kind, withContext]) => {
    const values = inContext.map((chunk) => chunk[withContext]);
    const spread = deviation(values);
    return { scores: zScores(values), lent: own.map((chunk) => (spread < 1e-6 ? 0 : lent(chunk, kind) / spread)) };
  });
  const fused = own.map((_chunk, at) => total(parts.map(({ scores }) => scores[at])));
  const lowest = Math.min(...fused);
  return inContext.map((chunk, at) => {
    const age = Math.max(0, now - (chunk.memory.fields.occurred_at ?? now));
    const decay = halfLifeDays === undefined ? 1 : 0.5 ** (age / DAY_MS / halfLifeDays);
    return { ...chunk, decay, context: total(parts.map((part) => part.lent[at])), fused: lowest + (fused[at] - lowest) * decay };
  });
}

const text = fc.array(fc.constantFrom(...WORDS), { maxLength: 6 }).map((words) => words.join(" "));
const direction = fc
  .array(fc.integer({ min: -3, max: 3 }), { minLength: DIMENSION, maxLength: DIMENSION })
  .filter((values) => values.some((value) => value !== 0));
// A few directions, each also longer and slightly turned: duplicates and near-duplicates.
const vector = fc
  .tuple(
    fc.oneof(direction, fc.constantFrom([1, 2, 3, 0, -1], [1, 1, 1, 1, 1])),
    fc.constantFrom(1, 7, 1e-3),
    fc.constantFrom(0, 0, 0.05, 1e-4),
  )
  .map(([values, length, turn]) => Float32Array.from(values, (value, at) => length * (value + (at === 0 ? turn : 0))));
const day = fc.constantFrom(1, 50, 99, 100, 101).map((days) => days * DAY_MS);
const memory: fc.Arbitrary<IndexedMemory> = fc
  .record({
    n: fc.integer({ min: 0, max: 11 }),
    rowVersion: fc.nat(9),
    fields: fc.record({
      tags: fc.subarray(["home", "work", "trip"]),
      source: fc.constantFrom("slack", "mail", undefined),
      run_id: fc.constantFrom("one", "one", "other", undefined),
      occurred_at: fc.option(day, { nil: undefined }),
      expires_at: fc.option(day, { nil: undefined, freq: 4 }),
    }),
    heading: text,
    chunks: fc.array(fc.record({ start: fc.nat(99), end: fc.nat(99), text, vector }), { maxLength: 3 }),
  })
  // No two memories of a run have one position.
  .map(({ n, ...rest }) => ({ id: `memory-${n.toString(16)}`, position: n, ...rest }));
const filter: fc.Arbitrary<Filter> = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<Filter[]>(
      { field: ["tags"], op: "contains", value: "home" },
      { field: ["tags"], op: "exists", value: false },
      { field: ["source"], op: "in", value: ["slack", "fax"] },
      { field: ["source"], op: "eq", value: "mail" },
      { field: ["id"], op: "gt", value: "memory-6" },
    ),
    fc.record({ and: fc.array(tie("filter"), { maxLength: 2 }) }),
    fc.record({ or: fc.array(tie("filter"), { maxLength: 2 }) }),
    fc.record({ not: tie("filter") }),
  ),
})).filter;
const request: fc.Arbitrary<SearchRequest> = fc.record({
  query: text,
  vector: fc.option(vector, { nil: undefined }),
  mode: fc.constantFrom<SearchRequest["mode"][]>(undefined, "hybrid", "lexical", "dense"),
  context: fc.constantFrom(undefined, true, false),
  filter: fc.option(filter, { nil: undefined }),
  limit: fc.constantFrom(0, 1, 3, 20),
  explain: fc.boolean(),
  now: fc.constant(NOW),
  asOf: fc.option(day, { nil: undefined, freq: 3 }),
  threshold: fc.option(fc.double({ min: -1, max: 1, noNaN: true }), { nil: undefined, freq: 3 }),
  halfLifeDays: fc.option(fc.constantFrom(1, 30), { nil: undefined, freq: 3 }),
});
/** Puts, replacements and removals. */
const changes = fc.array(fc.oneof({ weight: 4, arbitrary: memory }, memory.map(({ id }) => id)), { maxLength: 30 });

function apply(steps: (IndexedMemory | string)[]): { index: TenantIndex; memories: IndexedMemory[] } {
  const index = new TenantIndex({ dimension: DIMENSION });
  const memories = new Map<string, IndexedMemory>();
  for (const step of steps) {
    const id = typeof step === "string" ? step : step.id;
    const known = memories.delete(id);
    if (typeof step === "string") expect(index.remove(id)).toBe(known);
    else {
      index.put(step);
      memories.set(id, step);
    }
  }
  return { index, memories: [...memories.values()] };
}

/** Whether the hits could be those of the naive scores, were these off by the tolerance. */
function expectAgreement(hits: Hit[], scored: ScoredChunk[], { vector, limit, explain, threshold, halfLifeDays }: SearchRequest): void {
  const spread = vector ? deviation(scored.map(({ similarityInContext }) => similarityInContext)) : 1;
  // z-scores divide float32 rounding by the spread; of a spread in between nobody can say whether it is rounding.
  fc.pre(spread < 1e-7 || spread > 1e-4);
  const tolerance = spread < 1e-7 ? 1e-5 : 1e-5 * Math.max(1, 0.01 / spread);
  const least = vector && threshold !== undefined ? threshold : -Infinity;
  // Nor, that close to the threshold, on which side of it a chunk is.
  fc.pre(scored.every(({ similarity }) => Math.abs(similarity - least) > 1e-6));
  const eligible = scored.filter(({ similarity }) => similarity >= least);
  const best = (kind: "fused" | "similarity" | "bm25"): Map<string, number> => {
    const byMemory = new Map<string, number>();
    for (const chunk of kind === "fused" ? eligible : scored) byMemory.set(chunk.memory.id, Math.max(byMemory.get(chunk.memory.id) ?? -Infinity, chunk[kind]));
    return byMemory;
  };
  const expectRank = (rank: number | undefined, kind: "similarity" | "bm25", id: string): void => {
    const own = best(kind).get(id)!;
    const others = [...best(kind).values()];
    expect(rank).toBeGreaterThanOrEqual(1 + others.filter((score) => score > own + 1e-6).length);
    expect(rank).toBeLessThanOrEqual(1 + others.filter((score) => score > own - 1e-6).length);
  };

  expect(hits).toHaveLength(Math.min(limit, best("fused").size));
  expect(new Set(hits.map(({ memoryId }) => memoryId)).size).toBe(hits.length);
  const sorted = [...best("fused").values()].sort((a, b) => b - a);
  for (const [at, hit] of hits.entries()) {
    const chunk = eligible.find(({ memory, chunkNo }) => memory.id === hit.memoryId && chunkNo === hit.chunkNo)!;
    const { rowVersion, chunks } = chunk.memory;
    const { start, end } = chunks[hit.chunkNo];
    expect(hit).toMatchObject({ rowVersion, start, end });
    expect(Math.abs(hit.fused - chunk.fused)).toBeLessThan(tolerance);
    // The k-th hit has the k-th best score, and its chunk is the memory's best, but for ties.
    expect(Math.abs(hit.fused - sorted[at])).toBeLessThan(tolerance);
    expect(Math.abs(hit.fused - best("fused").get(hit.memoryId)!)).toBeLessThan(tolerance);
    expect(Math.abs(hit.context - chunk.context)).toBeLessThan(tolerance * (1 + Math.abs(chunk.context)));
    expect(hit.decay).toEqual(halfLifeDays === undefined ? undefined : expect.closeTo(chunk.decay, 9));
    expect(Math.abs(hit.bm25 - chunk.bm25)).toBeLessThan(1e-9);
    if (explain && best("bm25").get(hit.memoryId)! > 0) expectRank(hit.bm25Rank, "bm25", hit.memoryId);
    else expect(hit).not.toHaveProperty("bm25Rank");
    if (vector) {
      expect(Math.abs(hit.similarity! - chunk.similarity)).toBeLessThan(1e-6);
    } else {
      expect(hit).not.toHaveProperty("similarity");
    }
    if (explain && vector) expectRank(hit.similarityRank, "similarity", hit.memoryId);
    else expect(hit).not.toHaveProperty("similarityRank");
    if (at > 0 && hit.fused === hits[at - 1].fused) expect(hit.memoryId < hits[at - 1].memoryId).toBe(true);
  }
}

function memoryOf(id: string, text: string, values: number[], more: Partial<IndexedMemory> = {}): IndexedMemory {
  const chunks = [{ start: 0, end: text.length, text, vector: Float32Array.from(values) }];
  return { id, rowVersion: 1, fields: {}, heading: "", chunks, ...more };
}

function pets(): TenantIndex {
  const index = new TenantIndex({ dimension: 2 });
  index.put(memoryOf("a", "My cats sleep", [1, 0], { fields: { tags: ["home"] } }));
  index.put(memoryOf("b", "The dog barks", [0, 1], { fields: { source: "mail" }, heading: "8 May 2023 Caroline" }));
  index.put(memoryOf("c", "A tree", [1, 1]));
  return index;
}

describe("TenantIndex", () => {
  it("finds what a naive search over all chunks finds, after any puts, replacements and removals", () => {
    fc.assert(
      fc.property(changes, request, (steps, search) => {
        const { index, memories } = apply(steps);
        const { hits, totalMatching } = index.search(search);
        const passing = memories.filter((memory) => passes(memory, search));
        expect(totalMatching).toBe(passing.length);
        expect(new Set(index.select({ filter: search.filter, now: NOW }).map(({ id }) => id))).toEqual(new Set(memories.filter((one) => passes(one, { ...search, asOf: undefined })).map(({ id }) => id)));
        expect(index.memoryCount).toBe(memories.length);
        expect(index.chunkCount).toBe(memories.flatMap(({ chunks }) => chunks).length);
        expectAgreement(hits, scoreNaively(memories, search), search);
      }),
      { numRuns: 2000 },
    );
  });

  it("answers after any history exactly as one that was built from what is left", () => {
    fc.assert(
      fc.property(changes, request, (steps, search) => {
        const { index, memories } = apply(steps);
        const { index: fresh } = apply(memories);
        expect(index.search(search)).toEqual(fresh.search(search));
      }),
      { numRuns: 500 },
    );
  });

  it("finds words of the heading and other forms of a word", () => {
    const index = pets();
    expect(index.search({ query: "Caroline's", explain: true, limit: 1, now: NOW }).hits[0]).toMatchObject({ memoryId: "b", bm25Rank: 1 });
    expect(index.search({ query: "sleeping cat", explain: true, limit: 1, now: NOW }).hits[0]).toMatchObject({ memoryId: "a", bm25Rank: 1 });
  });

  it("follows the vector alone when the query has only stop words", () => {
    const { hits } = pets().search({ query: "what is it", vector: Float32Array.of(0, 2), explain: true, limit: 3, now: NOW });
    expect(hits.map(({ memoryId, similarityRank }) => [memoryId, similarityRank])).toEqual([["b", 1], ["c", 2], ["a", 3]]);
  });

  it("gives the newest first when nothing tells memories apart", () => {
    const { hits } = pets().search({ query: "zebra", limit: 2, now: NOW });
    expect(hits.map(({ memoryId, fused }) => [memoryId, fused])).toEqual([["c", 0], ["b", 0]]);
  });

  it("ranks only among the memories that pass the filter", () => {
    const { hits, totalMatching } = pets().search({
      query: "cat",
      vector: Float32Array.of(1, 0),
      filter: { not: { field: ["tags"], op: "exists", value: true } },
      explain: true, limit: 9, now: NOW,
    });
    expect(totalMatching).toBe(2);
    expect(hits.map(({ memoryId, similarityRank }) => [memoryId, similarityRank])).toEqual([["c", 1], ["b", 2]]);
  });

  it("lends a chunk part of its neighbours' scores, unless they are filtered out, expired or yet to come", () => {
    const index = new TenantIndex({ dimension: 2 });
    const turn = (position: number, text: string, fields: IndexedMemory["fields"] = {}) => memoryOf(`t${position}`, text, [1, 0], { position, fields: { run_id: "talk", ...fields } });
    index.put(turn(0, "cats"));
    index.put(turn(1, "trees"));
    index.put(turn(3, "moon"));
    const search = (more: Partial<SearchRequest> = {}) => index.search({ query: "cat", limit: 9, now: NOW, ...more }).hits.map(({ memoryId, context }) => [memoryId, context > 0]);
    expect(search()).toEqual([["t0", false], ["t1", true], ["t3", false]]);
    expect(search({ filter: { field: ["id"], op: "ne", value: "t0" } })).toEqual([["t3", false], ["t1", false]]);
    index.put(turn(0, "cats", { expires_at: NOW }));
    expect(search()).toEqual([["t3", false], ["t1", false]]);
    index.put(turn(0, "cats", { occurred_at: NOW }));
    expect(search({ asOf: NOW - 1 })).toEqual([["t3", false], ["t1", false]]);
    index.put(turn(2, "fish"));
    index.remove("t1");
    expect(search()).toEqual([["t0", false], ["t3", false], ["t2", false]]);
  });

  it("finds a long memory whose words and meaning stand in different chunks, and gives length alone nothing", () => {
    const index = new TenantIndex({ dimension: 2 });
    const chunks = (...parts: [string, number[]][]) => parts.map(([text, values]) => ({ start: 0, end: 1, text, vector: Float32Array.from(values) }));
    index.put(memoryOf("both", "", [1, 0], { chunks: chunks(["cats", [0, 1]], ["trees", [1, 0]]) }));
    index.put(memoryOf("words", "cats", [0, 1]));
    index.put(memoryOf("meaning", "trees", [1, 0]));
    const found = (more: Partial<SearchRequest>) => index.search({ query: "cat", vector: Float32Array.of(1, 0), limit: 9, now: NOW, ...more }).hits;
    expect(found({})[0].memoryId).toBe("both");
    const [first, second] = found({ mode: "lexical" });
    expect([first.memoryId, second.memoryId].sort()).toEqual(["both", "words"]);
    expect(first.fused).toBeCloseTo(second.fused, 12);
  });

  it("selects what a filter matches, newest first, page by page", () => {
    const index = pets();
    const ids = (more: object) => index.select({ now: NOW, ...more }).map(({ id }) => id);
    expect(ids({ limit: 2 })).toEqual(["c", "b"]);
    expect(ids({ limit: 2, before: "b" })).toEqual(["a"]);
    expect(ids({ limit: 5, filter: { field: ["source"], op: "eq", value: "mail" } })).toEqual(["b"]);
    expect(() => { index.put(memoryOf("d", "x", [1, 0], { leftOut: ["essay"] })); ids({ filter: { field: ["metadata", "essay"], op: "exists", value: true } }); }).toThrow(NotFilterableError);
  });

  it("says which metadata of a filter no memory has, and refuses what a memory leaves out", () => {
    const index = pets();
    const asks = (...path: string[]) => () => index.search({ query: "cat", filter: { not: { field: ["metadata", ...path], op: "eq", value: 1 } }, limit: 1, now: NOW }).unknownFields;
    index.put(memoryOf("d", "A cat", [1, 0], { fields: { metadata: { stars: { now: 1 } } }, leftOut: ["essay"] }));
    expect(asks("stars", "now")()).toEqual([]);
    expect(asks("stars", "then")()).toEqual(["metadata.stars.then"]);
    expect(asks("essay", "title")).toThrow(NotFilterableError);
    index.put(memoryOf("d", "A cat", [1, 0]));
    expect(asks("essay", "title")()).toEqual(["metadata.essay.title"]);
    expect(asks("stars", "now")()).toEqual(["metadata.stars.now"]);
  });

  it("counts what it keeps for filters among its bytes, until the memory is gone", () => {
    const index = pets();
    const before = index.bytes;
    index.put(memoryOf("d", "", [1, 0], { fields: { metadata: { note: "x".repeat(4_000) } } }));
    expect(index.bytes).toBeGreaterThan(before + 8_000);
    index.remove("d");
    expect(index.bytes).toBeLessThan(before + 8_000);
  });

  it("gives equal scores the same rank", () => {
    const index = pets();
    index.put(memoryOf("d", "My cats sleep", [1, 0]));
    const { hits } = index.search({ query: "cat", vector: Float32Array.of(1, 0), explain: true, limit: 3, now: NOW });
    expect(hits.map(({ memoryId, bm25Rank, similarityRank }) => [memoryId, bm25Rank, similarityRank])).toEqual([
      ["d", 1, 1],
      ["a", 1, 1],
      ["c", undefined, 3],
    ]);
  });

  it("has an answer when it is empty", () => {
    const index = new TenantIndex({ dimension: 2 });
    expect(index.search({ query: "cat", vector: Float32Array.of(1, 0), limit: 5, now: NOW })).toEqual({ hits: [], totalMatching: 0, unknownFields: [] });
  });

  it("refuses a vector it cannot compare, and keeps what it had", () => {
    const index = pets();
    const before = index.search({ query: "cat", limit: 9, now: NOW });
    expect(() => { index.put(memoryOf("a", "new", [1, 0, 0])); }).toThrow(DimensionMismatchError);
    expect(() => { index.put(memoryOf("a", "new", [0, 0])); }).toThrow("vector: must not be the zero vector");
    expect(() => index.search({ query: "cat", vector: Float32Array.of(1), limit: 1, now: NOW })).toThrow("vector: must have 2 values, got 1");
    expect(index.search({ query: "cat", limit: 9, now: NOW })).toEqual(before);
  });

  it("is empty after clear() and can be filled again", () => {
    const index = pets();
    index.clear();
    expect([index.memoryCount, index.chunkCount, index.bytes]).toEqual([0, 0, new TenantIndex({ dimension: index.dimension }).bytes]);
    expect(index.search({ query: "cat", limit: 5, now: NOW })).toEqual({ hits: [], totalMatching: 0, unknownFields: [] });
    index.put(memoryOf("e", "Another cat", [0, 1]));
    expect(index.search({ query: "cat", explain: true, limit: 5, now: NOW }).hits).toMatchObject([{ memoryId: "e", bm25Rank: 1 }]);
  });
});
