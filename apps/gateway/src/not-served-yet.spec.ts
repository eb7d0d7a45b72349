import { MemoryServiceService, type AddRequest, type NewMemoryMessage, type SearchRequest } from "@memseal/contracts";
import { InvalidArgumentError } from "@memseal/errors";
import { CALLS_NOT_SERVED, HEADERS_NOT_SERVED, refuseUnservedAdd, refuseUnservedHeaders, refuseUnservedList, refuseUnservedSearch } from "./not-served-yet.js";
import { MemoriesGrpc } from "./memories.grpc.js";

const memory = (parts: Partial<NewMemoryMessage> = {}): NewMemoryMessage => ({ text: "a", tags: [], metadata: undefined, occurredAt: undefined, ...parts });
const add = (parts: Partial<AddRequest>) => () => { refuseUnservedAdd({ memories: [], messages: [], ...parts }); };
const search = (parts: Partial<SearchRequest>) => () => { refuseUnservedSearch({ query: "q", filters: undefined, explain: false, ...parts }); };
const time = { seconds: 0n, nanos: 0 };

describe("what is not served yet", () => {
  it.each<[string, () => void]>([
    ["messages", add({ messages: [{ role: "user", content: "a" }], runId: "r" })],
    ["memories[1].key", add({ memories: [memory(), memory({ key: "k" })] })],
    ["memories[0].expires_at", add({ memories: [memory({ expiresAt: time })] })],
    // 0 is a value like any other.
    ["threshold", search({ threshold: 0 })],
    ["as_of", search({ asOf: time })],
    ["filters.run_id", search({ filters: { kind: { $case: "not", value: { kind: { $case: "condition", value: { field: "run_id", op: "eq", value: "r" } } } } } })],
    ["filters", () => { refuseUnservedList({ filters: { kind: { $case: "condition", value: { field: "source", op: "eq", value: "a" } } } }); }],
    ["idempotency-key", () => { refuseUnservedHeaders((name) => (name === "idempotency-key" ? "" : undefined)); }],
  ])("is refused by name: %s", (field, refused) => {
    expect(refused).toThrow(expect.objectContaining({ constructor: InvalidArgumentError, field }) as Error);
  });

  it("leaves requests alone that ask for none of it", () => {
    expect(add({ memories: [memory({ agentId: "a", role: "b", source: "c", tags: ["d"], metadata: {}, occurredAt: time, vector: Buffer.alloc(4) })], userId: "u" })).not.toThrow();
    expect(search({ topK: 1, rerank: false, explain: true, vector: Buffer.alloc(4), filters: { kind: { $case: "condition", value: { field: "metadata.key", op: "eq", value: 1 } } } })).not.toThrow();
    expect(() => { refuseUnservedList({ limit: 1, cursor: "c", userId: "u" }); }).not.toThrow();
    expect(() => { refuseUnservedHeaders(() => undefined); }).not.toThrow();
    expect(HEADERS_NOT_SERVED).not.toContain("authorization");
  });

  it("names exactly the calls that have no handler", () => {
    const unhandled = Object.keys(MemoryServiceService).filter((name) => !(name in MemoriesGrpc.prototype));
    expect(CALLS_NOT_SERVED).toHaveLength(unhandled.length);
  });
});
