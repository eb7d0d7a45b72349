import fc from "fast-check";
import { FreeRanges } from "./free-ranges.js";

describe("FreeRanges", () => {
  it("never hands out an address twice, loses none, and joins what is given back, for any order of taking and giving back", () => {
    const SIZE = 64;
    const steps = fc.array(fc.record({ isTaking: fc.boolean(), size: fc.integer({ min: 1, max: SIZE }), which: fc.nat() }), { maxLength: 60 });
    fc.assert(fc.property(steps, (wanted) => {
      const free = new FreeRanges();
      free.giveBack(0, SIZE);
      const owner = new Array<number>(SIZE).fill(0);
      const taken: { start: number; size: number }[] = [];
      for (const [i, { isTaking, size, which }] of wanted.entries()) {
        if (isTaking) {
          const start = free.take(size);
          const fits = owner.some((_owner, at) => at + size <= SIZE && owner.slice(at, at + size).every((one) => one === 0));
          expect(start !== undefined).toBe(fits);
          if (start === undefined) continue;
          expect(owner.slice(start, start + size).every((one) => one === 0)).toBe(true);
          owner.fill(i + 1, start, start + size);
          taken.push({ start, size });
        } else if (taken.length > 0) {
          const [{ start, size: given }] = taken.splice(which % taken.length, 1);
          owner.fill(0, start, start + given);
          free.giveBack(start, given);
        }
      }
      for (const { start, size } of taken) free.giveBack(start, size);
      expect(free.take(SIZE)).toBe(0);
    }));
  });
});
