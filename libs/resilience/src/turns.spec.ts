import fc from "fast-check";
import { Turns } from "./turns.js";

describe("turns", () => {
  it("have so many under way of each name and no more, in the order they came, whatever fails", async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(fc.record({ name: fc.constantFrom("a" as const, "b" as const), fails: fc.boolean() }), { maxLength: 30 }), fc.scheduler(), async (atOnce, pieces, scheduler) => {
      const turns = new Turns(atOnce);
      const underWay = { a: 0, b: 0 };
      const began: number[] = [];
      const all = pieces.map(({ name, fails }, i) => turns.take(name, async () => {
        began.push(i);
        underWay[name]++;
        expect(underWay[name]).toBeLessThanOrEqual(atOnce);
        await scheduler.schedule(Promise.resolve());
        underWay[name]--;
        if (fails) throw new Error();
        return i;
      }));
      await scheduler.waitFor(Promise.allSettled(all));
      for (const name of ["a", "b"]) {
        const of = began.filter((i) => pieces[i].name === name);
        expect(of).toEqual([...of].sort((x, y) => x - y));
      }
      expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual(pieces.map(({ fails }) => (fails ? "rejected" : "fulfilled")));
    }));
  });
});
