import type { ErrorCode } from "@memseal/errors";
import type { AddedMemory, Filters, MemoryChanges, MemsealErrorCode, MemsealUser, Selection } from "./index.js";

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

// Read by the compiler; that this file compiles is the test.
describe("types", () => {
  it("have the codes of the service", () => {
    const same: Same<MemsealErrorCode, ErrorCode> = true;
    expect(same).toBe(true);
  });

  it("give one answer for one memory and several for several", () => {
    const check = (user: MemsealUser) => {
      const one: Promise<AddedMemory> = user.add("a");
      const other: Promise<AddedMemory> = user.add({ text: "a" });
      const several: Promise<AddedMemory[]> = user.add(["a", { text: "b" }] as const);
      const turns: Promise<AddedMemory[]> = user.add({ runId: "r", messages: [] });
      return [one, other, several, turns];
    };
    expect(check).toBeDefined();
  });

  it("refuse what the service would refuse", () => {
    const refused = (user: MemsealUser) => [
      // @ts-expect-error messages need their run
      user.add({ messages: [] }),
      // @ts-expect-error a memory needs its text
      user.add({ tags: [] }),
      // @ts-expect-error not the wire's names
      user.search("a", { top_k: 1 }),
      // @ts-expect-error a single memory is deleted for good or not at all
      user.delete("a", { dryRun: true }),
    ];
    // @ts-expect-error no such operator
    const filters: Filters = { tags: { like: "a" } };
    // @ts-expect-error no such field
    const field: Filters = { agent_id: "a" };
    // @ts-expect-error exactly all
    const selection: Selection = { all: false };
    // @ts-expect-error text may be replaced and not cleared
    const changes: MemoryChanges = { text: null };
    expect([refused, filters, field, selection, changes]).toBeDefined();
  });
});
