import { LIMITS } from "@memseal/contracts";
import type { UserHash } from "@memseal/crypto";
import { CANDIDATES_BYTES } from "./answer-bytes.js";
import { newTenant, randomVector, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";

let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

/** In characters of two bytes, of which a limit of characters alone would let twice as many through. */
const large = (count: number, bytes: number) => Array.from({ length: count }, (_v, i) => ({ text: `note ${i} ${"é".repeat(bytes / 2)}`, vector: randomVector(), tags: ["large"] }));
const isLarge = { field: ["tags"], op: "contains", value: "large" } as const;

async function pagesOf(tenant: UserHash, filter?: typeof isLarge): Promise<string[][]> {
  const pages: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = await indexer.reads.list(tenant, { limit: 100, cursor, filter });
    pages.push(page.memories.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return pages;
}

it.each([["", undefined], [", with a filter too", isLarge]])("a page of a list ends before it is too large, and the next goes on from there%s", async (_which, filter) => {
  const tenant = newTenant();
  const ids = await indexer.add(tenant, [...large(5, 0.45 * LIMITS.listPageBytes), { text: "small", vector: randomVector(), tags: ["large"] }]);
  const pages = await pagesOf(tenant, filter);
  expect(pages.map(({ length }) => length)).toEqual([3, 2, 1]);
  expect(pages.flat()).toEqual([...ids].reverse());
});

it("a page has one memory at least", async () => {
  const tenant = newTenant();
  await indexer.add(tenant, large(2, 1.5 * LIMITS.listPageBytes));
  expect((await pagesOf(tenant)).map(({ length }) => length)).toEqual([1, 1]);
});

it("a search leaves out the last of what it found where all of it would be too large", async () => {
  const tenant = newTenant();
  // One span each, so that its passage is a second copy of the text.
  await indexer.add(tenant, large(10, CANDIDATES_BYTES / 10));
  const search = (candidates: number) => indexer.search.search(tenant, { query: "note 3", candidates });
  const { candidates: few } = await search(3);
  const { candidates, totalMatching, integrityFailures } = await search(10);
  expect({ few: few.length, found: candidates.length, totalMatching, integrityFailures }).toEqual({ few: 3, found: 4, totalMatching: 10, integrityFailures: 0 });
  expect(candidates.slice(0, 3)).toEqual(few);
});
