import { OverloadedError } from "@memseal/errors";
import { UntakenAnswers } from "./untaken-answers.js";

const answers = (receiverBytes = 100, totalBytes = 1_000) => new UntakenAnswers({ receiverBytes, totalBytes });
const fits = (untaken: UntakenAnswers, receiver: string, bytes: number) => {
  try {
    untaken.requireRoom(receiver, bytes);
    return true;
  } catch {
    return false;
  }
};

describe("answers that wait to be taken", () => {
  it("are refused beyond what may wait for one receiver, and nobody else is", () => {
    const untaken = answers();
    untaken.hold("a", 60);
    expect([fits(untaken, "a", 40), fits(untaken, "a", 41), fits(untaken, "b", 100)]).toEqual([true, false, true]);
    expect(() => { untaken.requireRoom("a", 41); }).toThrow(OverloadedError);
  });

  it("make room when they are taken, once each", () => {
    const untaken = answers();
    const [taken, other] = [untaken.hold("a", 60), untaken.hold("a", 50)];
    expect([fits(untaken, "a", 0), untaken.totalBytes]).toEqual([false, 110]);
    taken();
    taken();
    expect([fits(untaken, "a", 50), untaken.totalBytes]).toEqual([true, 50]);
    other();
    expect(untaken.totalBytes).toBe(0);
  });

  it("may be larger where one waits alone, and then none beside it", () => {
    const untaken = answers();
    expect(fits(untaken, "a", 400)).toBe(true);
    untaken.hold("a", 400);
    expect(fits(untaken, "a", 0)).toBe(false);
    expect(fits(untaken, "b", 601)).toBe(false);
  });

  it.each([1, 5, 50, 500])("of %i who read nothing leave room for one who does, and never fill more than may wait for all", (hoarders) => {
    const untaken = answers(100, 1_000);
    for (let turn = 0; turn < 200; turn++) {
      for (let i = 0; i < hoarders; i++) if (fits(untaken, `hoarder ${i}`, 1)) untaken.hold(`hoarder ${i}`, 1);
    }
    expect(untaken.totalBytes).toBeLessThan(1_000);
    expect(fits(untaken, "reader", 1)).toBe(true);
    expect(fits(untaken, "hoarder 0", 1)).toBe(false);
  });
});
