import { setTimeout as delay } from "node:timers/promises";
import { LoadBalancerError, type LoadBalancer, type Split } from "../adapters/load-balancer.js";
import { SwitchWatch } from "./switch-watch.js";

let percent: number | undefined;
/** Undefined: its backends do not agree. */
const balancer: LoadBalancer = {
  setCandidateShare: () => Promise.resolve(),
  read: () => (percent === undefined
    ? Promise.reject(new LoadBalancerError("they do not agree"))
    : Promise.resolve<Split>({ candidatePercent: percent, answers: { canary: percent, stable: 0 }, failures: { canary: 0, stable: 0 }, raw: "" })),
};

describe("a watch of the switch", () => {
  it("says when the candidate has answered so many, and when it was taken away after a time", async () => {
    percent = 0;
    const watch = new SwitchWatch(balancer);
    const serves = watch.hasAnswered(5);
    percent = 4;
    await delay(150);
    expect(await Promise.race([serves, Promise.resolve("not yet")])).toBe("not yet");
    percent = 5;
    expect(await serves).toBe(true);
    const brokeMs = Date.now();
    expect(watch.takenAwayAfter(brokeMs)).toBeUndefined();
    percent = undefined;
    await delay(150);
    expect(watch.takenAwayAfter(brokeMs)).toBeUndefined();
    percent = 0;
    await delay(200);
    await watch.stop();
    expect(watch.takenAwayAfter(brokeMs)).toBeGreaterThanOrEqual(brokeMs + 150);
    expect(watch.last?.candidatePercent).toBe(0);
  });

  it("waits no longer for a candidate once it is stopped", async () => {
    percent = 0;
    const watch = new SwitchWatch(balancer);
    const serves = watch.hasAnswered(1);
    await watch.stop();
    expect(await serves).toBe(false);
  });
});
