import { createHash } from "node:crypto";
import fc from "fast-check";
import { rendezvousOrder } from "./rendezvous.js";

const names = fc.uniqueArray(fc.stringMatching(/^[a-z0-9.]{1,12}:\d{1,5}$/), { minLength: 2, maxLength: 8 });
const key = fc.stringMatching(/^[0-9a-f]{64}$/);

describe("rendezvous", () => {
  it("orders the same names alike, however they were listed", () => {
    fc.assert(fc.property(names, key, (all, of) => {
      expect(rendezvousOrder([...all].reverse(), of)).toEqual(rendezvousOrder(all, of));
      expect([...rendezvousOrder(all, of)].sort()).toEqual([...all].sort());
    }));
  });

  it("moves no key but those of the name that went", () => {
    fc.assert(fc.property(names, key, fc.nat(), (all, of, at) => {
      const gone = all[at % all.length];
      expect(rendezvousOrder(all.filter((name) => name !== gone), of)).toEqual(rendezvousOrder(all, of).filter((name) => name !== gone));
    }));
  });

  it.each([2, 3, 5])("spreads keys evenly over %d names, and those of one that went over the others", (count) => {
    const all = Array.from({ length: count }, (_v, i) => `10.0.0.${i}:7482`);
    const keys = Array.from({ length: 10_000 }, (_v, i) => createHash("sha256").update(`user ${i}`).digest("hex"));
    const firsts = keys.map((of) => rendezvousOrder(all, of));
    for (const name of all) {
      const own = firsts.filter(([first]) => first === name);
      expect(Math.abs(own.length / (keys.length / count) - 1)).toBeLessThan(0.1);
      for (const heir of all.filter((other) => other !== name)) {
        const inherited = own.filter(([, second]) => second === heir).length;
        expect(Math.abs(inherited / (own.length / (count - 1)) - 1)).toBeLessThan(0.25);
      }
    }
  });
});
