import { setImmediate as settled } from "node:timers/promises";
import { SingleFlight } from "./single-flight.js";

const stays = new AbortController().signal;

describe("work in single flight", () => {
  it("is done once for all who ask while it is under way, and once more for who asks after", async () => {
    const flights = new SingleFlight<number>();
    let done = 0;
    const work = async () => { await settled(); return ++done; };
    expect(await Promise.all([flights.run("a", stays, work), flights.run("a", stays, work), flights.run("b", stays, work)])).toEqual([1, 1, 2]);
    expect(await flights.run("a", stays, work)).toBe(3);
  });

  it("fails for all who wait, and is remembered for none", async () => {
    const flights = new SingleFlight<number>();
    const fail = async () => { await settled(); throw new Error("away"); };
    expect((await Promise.allSettled([flights.run("a", stays, fail), flights.run("a", stays, fail)])).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(flights.run("a", stays, () => Promise.resolve(1))).resolves.toBe(1);
  });

  it("goes on until the last has left, and is not joined after", async () => {
    const flights = new SingleFlight<number>();
    const [first, second] = [new AbortController(), new AbortController()];
    const signals: AbortSignal[] = [];
    const hang = (signal: AbortSignal) => { signals.push(signal); return new Promise<number>(() => undefined); };
    const waits = [first, second].map(({ signal }) => flights.run("a", signal, hang));
    first.abort(new Error("first left"));
    await expect(waits[0]).rejects.toThrow("first left");
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    second.abort(new Error("second left"));
    await expect(waits[1]).rejects.toThrow("second left");
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    await expect(flights.run("a", stays, () => Promise.resolve(1))).resolves.toBe(1);
  });

  it("is not begun for who has left already", async () => {
    let began = 0;
    await expect(new SingleFlight().run("a", AbortSignal.abort(new Error("left")), () => Promise.resolve(began++))).rejects.toThrow("left");
    expect(began).toBe(0);
  });
});
