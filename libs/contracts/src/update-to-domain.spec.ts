import type * as wire from "./generated/memseal/v1/memory.js";
import { UpdateRequest } from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { faultOf } from "./testing.js";
import { toTimestamp } from "./timestamp.js";
import { parseUpdate } from "./update-to-domain.js";
import { encodeVector } from "./vector.js";

const ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const update = (parts: Partial<wire.UpdateRequest>) => () => parseUpdate({ id: ID, clear: [], ...parts });

describe("parseUpdate", () => {
  it("tells what is set from what is cleared and what stays", () => {
    const { changes, ...rest } = update({
      ifMatch: 3, text: "b", role: "Ada", tags: { tags: ["x", "x"] }, occurredAt: toTimestamp(new Date(5)), vector: encodeVector(Float32Array.of(1)),
      clear: ["source", "metadata", "expires_at"],
    })();
    expect(rest).toEqual({ id: ID, ifMatch: 3, vector: Float32Array.of(1) });
    expect(changes).toEqual({ text: "b", role: "Ada", tags: ["x"], occurredAt: new Date(5), source: null, metadata: null, expiresAt: null });
    expect(changes.agentId).toBeUndefined();
  });

  it("survives the wire, an empty list of tags and an empty object included", () => {
    const sent = UpdateRequest.encode({ id: ID, clear: ["role"], tags: { tags: [] }, metadata: {} }).finish();
    expect(parseUpdate(UpdateRequest.decode(sent)).changes).toEqual({ tags: [], metadata: {}, role: null });
  });

  it.each<[string, Partial<wire.UpdateRequest>]>([
    ["id", { id: "7", text: "a" }],
    ["request", {}],
    ["request", { ifMatch: 1 }],
    ["if_match", { ifMatch: 0, text: "a" }],
    ["if_match", { ifMatch: 1.5, text: "a" }],
    ["if_match", { ifMatch: 2 ** 32, text: "a" }],
    ["text", { text: "" }],
    ["text", { text: "\ud800" }],
    ["agent_id", { agentId: "" }],
    ["role", { role: "a".repeat(LIMITS.labelCharacters + 1) }],
    ["source", { source: "\0" }],
    ["tags[0]", { tags: { tags: [""] } }],
    ["metadata.a", { metadata: { a: NaN } }],
    ["occurred_at", { occurredAt: { seconds: 0n, nanos: -1 } }],
    ["expires_at", { expiresAt: { seconds: 2n ** 60n, nanos: 0 } }],
    ["vector", { vector: encodeVector(Float32Array.of(1)), role: "a" }],
    ["vector", { vector: Buffer.alloc(4), text: "a" }],
    ["clear[1]", { clear: ["role", "text"] }],
    ["clear[0]", { clear: ["key"] }],
    ["clear[0]", { clear: ["__proto__"] }],
    ["clear[0]", { clear: ["role"], role: "Ada" }],
    ["user_id", { text: "a", userId: "" }],
  ])("refuses a fault in %s by its path", (field, parts) => {
    expect(faultOf(update(parts))).toBe(field);
  });
});
