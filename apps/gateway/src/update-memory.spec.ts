import { toTimestamp, type Memory, type MemoryChanges, type UpdateRequest } from "@memseal/contracts";
import type { UpdateRequest as IndexerUpdate } from "@memseal/contracts/indexer";
import { parseUserHash } from "@memseal/crypto";
import { AppError, UnavailableError } from "@memseal/errors";
import type { TenantCall } from "./call.js";
import { updateMemory, type UpdateParts } from "./update-memory.js";

const ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const call: TenantCall = {
  requestId: "r-1",
  deadlineMs: Infinity,
  signal: new AbortController().signal,
  caller: { tenant: parseUserHash("0".repeat(64)), namespace: "default", actor: "api-key test", scopes: ["write"] },
};
const at = toTimestamp(new Date(0));
const overtaken = new AppError("aborted", "the memory changed while it was embedded: embed it again", { field: "embedded_version" });

/** A memory that the indexer finds changed as often as said, each time one version on. */
function world({ overtakenTimes = 0 } = {}) {
  const seen: { updates: IndexerUpdate[]; embedded: unknown[] } = { updates: [], embedded: [] };
  let version = 3;
  const parts: UpdateParts = {
    indexer: {
      get: () => Promise.resolve<Memory>({ id: ID, text: "before", role: "Ada", source: "chat", tags: [], metadata: undefined, occurredAt: at, createdAt: at, updatedAt: at, version: version++ }),
      update: (_, request) => {
        seen.updates.push(request);
        return seen.updates.length <= overtakenTimes ? Promise.reject(overtaken) : Promise.resolve({ answer: { id: ID } as Memory, isReplayed: false });
      },
    },
    embedder: {
      embedDocuments: (_, { documents }, field) => {
        seen.embedded.push(...documents, field);
        return Promise.resolve({ model: "mini", documents: [{ windows: [{ start: 0, end: 1, vector: Buffer.alloc(8) }] }] });
      },
    },
  };
  return { parts, seen };
}

const update = (parts: UpdateParts, changes: MemoryChanges, vector?: Float32Array) =>
  updateMemory(parts, call, { id: ID, ...changes, vector: vector && Buffer.from(vector.buffer), clear: [], userId: "ada" } as unknown as UpdateRequest, { id: ID, changes, vector });

describe("updateMemory", () => {
  it("embeds nothing where nothing that is embedded changes", async () => {
    const { parts, seen } = world();
    await update(parts, { tags: ["a"] });
    expect(seen).toEqual({ updates: [{ changes: expect.objectContaining({ tags: ["a"] }) as object, chunks: [], model: "" }], embedded: [] });
    expect(seen.updates[0].changes).toMatchObject({ vector: undefined, userId: undefined });
  });

  it("takes the caller's own vector for the whole of the new text", async () => {
    const { parts, seen } = world();
    await update(parts, { text: "a😀b" }, Float32Array.of(1, 2));
    expect(seen.updates).toMatchObject([{ chunks: [{ start: 0, end: 3, vector: Buffer.from(Float32Array.of(1, 2).buffer) }], model: "" }]);
    expect(seen.updates[0].embeddedVersion).toBeUndefined();
    expect(seen.embedded).toEqual([]);
  });

  it.each<[string, MemoryChanges, string | undefined]>([
    ["with who speaks, as it was", { text: "after" }, "Ada"],
    ["with who speaks, as it will be", { text: "after", role: "Bob" }, "Bob"],
    ["with the source where the role goes", { text: "after", role: null }, "chat"],
    ["with nobody where both go", { text: "after", role: null, source: null }, undefined],
  ])("embeds a new text %s", async (_what, changes, speaker) => {
    const { parts, seen } = world();
    await update(parts, changes);
    expect(seen.embedded).toEqual([{ text: "after", speaker }, "text"]);
    expect(seen.updates).toMatchObject([{ model: "mini", embeddedVersion: 3, chunks: [{ start: 0 }] }]);
  });

  it("asks the indexer first whether another speaker needs new vectors: a caller's own need no embedder", async () => {
    const { parts, seen } = world();
    parts.embedder.embedDocuments = () => Promise.reject(new UnavailableError("gone"));
    await update(parts, { role: "Bob" });
    expect(seen.updates).toMatchObject([{ chunks: [], model: "", embeddedVersion: 0 }]);
    const needed = world({ overtakenTimes: 1 });
    await update(needed.parts, { role: "Bob" });
    expect(needed.seen.embedded).toEqual([{ text: "before", speaker: "Bob" }, "text"]);
    expect(needed.seen.updates).toMatchObject([{ embeddedVersion: 0 }, { model: "mini", embeddedVersion: 3 }]);
    needed.parts.embedder.embedDocuments = () => Promise.reject(new UnavailableError("gone"));
    needed.seen.updates.length = 0;
    await expect(update(needed.parts, { role: "Bob" })).rejects.toMatchObject({ code: "unavailable" });
  });

  it("embeds again what others changed meanwhile, three times, then says so", async () => {
    const { parts, seen } = world({ overtakenTimes: 2 });
    await update(parts, { text: "after" });
    expect(seen.updates.map(({ embeddedVersion }) => embeddedVersion)).toEqual([3, 4, 5]);
    const busy = world({ overtakenTimes: 9 });
    await expect(update(busy.parts, { text: "after" })).rejects.toMatchObject({ code: "aborted", retryAfterS: 1, field: undefined });
    expect(busy.seen.updates).toHaveLength(3);
  });

  it("tries no other failure again", async () => {
    const { parts, seen } = world();
    parts.indexer.update = (_, request) => {
      seen.updates.push(request);
      return Promise.reject(new AppError("aborted", "this user's memories change faster than this write; try again"));
    };
    await expect(update(parts, { text: "after" })).rejects.toMatchObject({ code: "aborted" });
    expect(seen.updates).toHaveLength(1);
  });
});
