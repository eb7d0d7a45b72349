import { decodeVector, LIMITS, type NewMemory } from "@memseal/contracts";
import type { PutRequest } from "@memseal/contracts/indexer";
import { parseUserHash } from "@memseal/crypto";
import { AppError, UnavailableError } from "@memseal/errors";
import { addMemories, type AddParts } from "./add-memories.js";
import type { TenantCall } from "./call.js";

const call: TenantCall = {
  requestId: "r-1",
  deadlineMs: Infinity,
  signal: new AbortController().signal,
  caller: { tenant: parseUserHash("0".repeat(64)), namespace: "default", actor: "api-key test", scopes: ["write"] },
};
const memory = (parts: Partial<NewMemory>): NewMemory => ({ text: "text", tags: [], ...parts });
const vector = Float32Array.of(1, 2);

/** An embedder that makes one window of each three characters. */
function world() {
  const seen: { put?: PutRequest; speakers?: (string | undefined)[] } = {};
  const parts: AddParts = {
    indexer: {
      put: (_, request) => {
        seen.put = request;
        return Promise.resolve({ answer: { results: [] }, isReplayed: false });
      },
    },
    embedder: {
      embedDocuments: (_, { documents }) => {
        seen.speakers = documents.map(({ speaker }) => speaker);
        const windowsOf = (text: string) =>
          Array.from({ length: Math.ceil(text.length / 3) }, (_, i) => ({ start: 3 * i, end: Math.min(3 * i + 3, text.length), vector: Buffer.alloc(8, text) }));
        return Promise.resolve({ model: "mini", documents: documents.map(({ text }) => ({ windows: windowsOf(text) })) });
      },
    },
  };
  return { parts, seen };
}

describe("addMemories", () => {
  it("embeds what has no vector and keeps every memory in its place", async () => {
    const { parts, seen } = world();
    await addMemories(parts, call, { sentAs: "memories", memories: [memory({ text: "abcd", role: "Ada", source: "chat" }), memory({ text: "own", vector }), memory({ text: "xyz", source: "notes" })] });
    expect(seen.speakers).toEqual(["Ada", "notes"]);
    expect(seen.put?.model).toBe("mini");
    expect(seen.put?.memories.map(({ ownVector }) => ownVector)).toEqual([false, true, false]);
    expect(seen.put?.memories.map(({ text, chunks }) => [text, chunks.map(({ start, end }) => [start, end])])).toEqual([
      ["abcd", [[0, 3], [3, 4]]],
      ["own", [[0, 3]]],
      ["xyz", [[0, 3]]],
    ]);
  });

  it("makes one chunk over the whole text, in code points, of a memory with its own vector", async () => {
    const { parts, seen } = world();
    parts.embedder.embedDocuments = () => Promise.reject(new UnavailableError("gone"));
    await addMemories(parts, call, { sentAs: "memories", memories: [memory({ text: "a😀b", vector })] });
    const [chunk] = seen.put?.memories[0]?.chunks ?? [];
    expect(chunk).toMatchObject({ start: 0, end: 3 });
    expect(chunk && decodeVector(chunk.vector, "vector")).toEqual(vector);
    expect(seen.put?.model).toBe("");
  });

  it("stores nothing when there is no embedder for a memory that needs one", async () => {
    const { parts, seen } = world();
    parts.embedder.embedDocuments = () => Promise.reject(new UnavailableError("gone"));
    await expect(addMemories(parts, call, { sentAs: "memories", memories: [memory({ vector }), memory({})] })).rejects.toMatchObject({ code: "unavailable" });
    expect(seen.put).toBeUndefined();
  });

  it("names a caller's own vector of another dimension than the embedder's, wherever it stands", async () => {
    const { parts, seen } = world();
    const own = memory({ vector: Float32Array.of(1, 2, 3) });
    for (const memories of [[own, memory({})], [memory({}), own]]) {
      const field = `memories[${memories.indexOf(own)}].vector`;
      await expect(addMemories(parts, call, { sentAs: "memories", memories })).rejects.toMatchObject({ code: "invalid_argument", field, message: expect.stringContaining("must have 2 values") as string });
    }
    expect(seen.put).toBeUndefined();
  });

  it("names a message where its caller sent messages, in the indexer's words too", async () => {
    const { parts } = world();
    const own = memory({ vector: Float32Array.of(1, 2, 3) });
    await expect(addMemories(parts, call, { sentAs: "messages", memories: [memory({}), own] })).rejects.toMatchObject({ field: "messages[1].vector", message: expect.stringMatching(/^messages\[1\]\.vector: must have 2 values/) as string });
    parts.indexer.put = () => Promise.reject(new AppError("invalid_argument", "memories[0].vector: must have 3 values", { field: "memories[0].vector" }));
    await expect(addMemories(parts, call, { sentAs: "messages", memories: [own] })).rejects.toMatchObject({ code: "invalid_argument", field: "messages[0].vector", message: "messages[0].vector: must have 3 values" });
    await expect(addMemories(parts, call, { sentAs: "memories", memories: [own] })).rejects.toMatchObject({ field: "memories[0].vector" });
    const many = Array.from({ length: LIMITS.chunksPerCall + 1 }, () => own);
    await expect(addMemories(parts, call, { sentAs: "messages", memories: many })).rejects.toMatchObject({ field: "messages" });
    parts.indexer.put = () => Promise.reject(new UnavailableError("gone"));
    await expect(addMemories(parts, call, { sentAs: "messages", memories: [own] })).rejects.toMatchObject({ code: "unavailable" });
  });

  it("asks to split a call that makes more than 200 chunks, and stores nothing", async () => {
    const { parts, seen } = world();
    const memories = [...Array.from({ length: LIMITS.chunksPerCall }, () => memory({ vector })), memory({ text: "one" })];
    await expect(addMemories(parts, call, { sentAs: "memories", memories })).rejects.toMatchObject({ code: "invalid_argument", field: "memories", message: expect.stringContaining("split") as string });
    expect(seen.put).toBeUndefined();
  });
});
