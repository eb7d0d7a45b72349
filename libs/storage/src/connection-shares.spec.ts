import { setImmediate as settled, setTimeout as delay } from "node:timers/promises";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import fc from "fast-check";
import { ConnectionShares, type CallEnd, type Claim, type WaitOutcome } from "./connection-shares.js";

const tenants = ["a", "b", "c", "d", "e", "f"].map((digit) => parseUserHash(digit.repeat(64)));
const [ann, bob, cy, dan, eve, fay] = tenants;

type State = "waiting" | "served" | "refused";
interface Call {
  readonly tenant: UserHash;
  readonly goesFirst: boolean;
  readonly caller: AbortController;
  state: State;
  error?: unknown;
}

/** Shares of so many connections, and what became of every call for one. */
class Watched {
  readonly calls: Call[] = [];
  /** Calls that had waited, in the order in which they were served. */
  readonly servings: Call[] = [];
  readonly outcomes: WaitOutcome[] = [];
  readonly shares: ConnectionShares;

  constructor(readonly connections: number) {
    this.shares = new ConnectionShares(connections, (outcome) => this.outcomes.push(outcome));
  }

  take(tenant: UserHash, { goesFirst = false, end }: Claim = {}): Call {
    const call: Call = { tenant, goesFirst, caller: new AbortController(), state: "served" };
    const turn = this.shares.take(tenant, { goesFirst, end: end ?? { deadlineMs: Infinity, signal: call.caller.signal } });
    this.calls.push(call);
    if (turn === undefined) return call;
    call.state = "waiting";
    turn.then(() => {
      call.state = "served";
      this.servings.push(call);
    }, (error: unknown) => {
      call.state = "refused";
      call.error = error;
    });
    return call;
  }

  giveBack(call: Call): void {
    this.calls.splice(this.calls.indexOf(call), 1);
    this.shares.giveBack(call.tenant);
  }

  of(state: State, tenant?: UserHash): Call[] {
    return this.calls.filter((call) => call.state === state && (tenant === undefined || call.tenant === tenant));
  }

  get free(): number {
    return this.connections - this.of("served").length;
  }
}

describe("a share of the connections", () => {
  it("alone is half of them, and one at least", async () => {
    for (const [connections, share] of [[16, 8], [8, 4], [2, 1], [1, 1]] as const) {
      const watched = new Watched(connections);
      for (let i = 0; i < 20; i++) watched.take(ann);
      await settled();
      expect({ connections, share: watched.of("served").length }).toEqual({ connections, share });
      for (const { caller } of watched.of("waiting")) caller.abort();
    }
  });

  it("leaves one with none a connection, though four others take all they can", async () => {
    const watched = new Watched(16);
    for (const tenant of [ann, bob, cy, dan]) for (let i = 0; i < 20; i++) watched.take(tenant);
    await settled();
    expect([ann, bob, cy, dan].map((tenant) => watched.of("served", tenant).length)).toEqual([8, 4, 2, 1]);
    expect(watched.take(eve).state).toBe("served");
    // All are taken: the sixth has the next, before anybody who has one.
    const last = watched.take(fay);
    expect(last.state).toBe("waiting");
    watched.giveBack(watched.of("served", ann)[0]);
    await settled();
    expect(last.state).toBe("served");
    for (const { caller } of watched.of("waiting")) caller.abort();
  });

  it("is served tenant by tenant, the calls of each in their order, those that go first before", async () => {
    const watched = new Watched(1);
    const held = watched.take(fay);
    const names = new Map([
      ["ann 1", watched.take(ann)], ["ann 2", watched.take(ann)], ["ann 3", watched.take(ann)],
      ["bob 1", watched.take(bob)], ["bob 2", watched.take(bob)], ["cy 1", watched.take(cy)], ["ann's turn", watched.take(ann, { goesFirst: true })],
    ].map(([name, call]) => [call, name] as [Call, string]));
    for (let current: Call | undefined = held; current !== undefined; current = watched.of("served")[0]) {
      watched.giveBack(current);
      await settled();
    }
    expect(watched.servings.map((call) => names.get(call))).toEqual(["ann's turn", "bob 1", "cy 1", "ann 1", "bob 2", "ann 2", "ann 3"]);
  });

  it("keeps so many calls waiting and refuses further ones at once, in words of the caller's own; but for one that goes first", async () => {
    const watched = new Watched(2);
    for (let i = 0; i < 257; i++) watched.take(ann);
    const refused = watched.take(ann);
    const first = watched.take(ann, { goesFirst: true });
    expect(watched.take(bob).state).toBe("served");
    await settled();
    expect(refused).toMatchObject({ state: "refused", error: { code: "resource_exhausted", message: "too many calls of this user are waiting for the database; try again" } });
    expect(watched.outcomes).toEqual(["full"]);
    watched.giveBack(watched.of("served", bob)[0]);
    watched.giveBack(watched.of("served", ann)[0]);
    await settled();
    expect(first.state).toBe("served");
    for (const { caller } of watched.of("waiting")) caller.abort();
  });

  it("is waited for no longer than a connection is, nor than its caller waits", async () => {
    const watched = new Watched(2);
    const crowded = new Watched(1);
    const within = (ms: number, signal?: AbortSignal): { end: CallEnd } => ({ end: { deadlineMs: Date.now() + ms, signal } });
    watched.take(ann);
    crowded.take(bob);
    const [late, gone, patient, other] = [watched.take(ann, within(50)), watched.take(ann, within(9_000, AbortSignal.abort())), watched.take(ann, within(9_000)), crowded.take(ann)];
    await delay(200);
    expect([late, gone]).toMatchObject([{ state: "refused", error: { code: "deadline_exceeded" } }, { state: "refused", error: { code: "cancelled" } }]);
    expect(patient.state).toBe("waiting");
    await delay(2_000);
    expect(patient).toMatchObject({ state: "refused", error: { code: "resource_exhausted", message: "too many calls of this user are waiting for the database; try again" } });
    // Where nothing is free, its own calls are not the reason.
    expect(other).toMatchObject({ state: "refused", error: { code: "resource_exhausted", message: "every database connection is busy; try again" } });
    expect(watched.outcomes).toEqual(["left", "left", "timeout"]);
  });

  it("holds in any order of calls, returns and callers that leave: nobody has more than was free, nobody is passed over, everybody is served", async () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ kind: fc.constant("take" as const), tenant: fc.nat(), goesFirst: fc.integer({ min: 0, max: 9 }).map((n) => n === 0) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant("give back" as const), which: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), which: fc.nat() }) },
    );
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: tenants.length }), fc.array(step, { maxLength: 60, size: "max" }), async (connections, users, steps) => {
      const watched = new Watched(connections);
      /** Of each tenant that waits for its only connection: who was served meanwhile. */
      const passed = new Map<UserHash, UserHash[]>();
      let seen = 0;
      const look = async () => {
        await settled();
        const { free } = watched;
        const holdings = tenants.map((tenant) => ({ tenant, held: watched.of("served", tenant).length, waits: watched.of("waiting", tenant) }));
        expect(free).toBeGreaterThanOrEqual(0);
        expect(holdings.filter(({ held }) => held > Math.floor((connections + 1) / 2))).toEqual([]);
        // Whoever may have a connection has it.
        expect(holdings.filter(({ held, waits }) => waits.length > 0 && held < free)).toEqual([]);
        for (const call of watched.servings.slice(seen)) {
          for (const others of passed.values()) others.push(call.tenant);
          passed.delete(call.tenant);
          // In its tenant's order.
          if (!call.goesFirst) expect(watched.calls.slice(0, watched.calls.indexOf(call)).filter(({ tenant, state }) => tenant === call.tenant && state === "waiting")).toEqual([]);
        }
        seen = watched.servings.length;
        for (const { tenant, held, waits } of holdings) {
          if (held > 0 || waits.length === 0) passed.delete(tenant);
          else if (!passed.has(tenant)) passed.set(tenant, []);
        }
        expect([...passed.values()].filter((others) => new Set(others).size !== others.length)).toEqual([]);
      };
      for (const wanted of steps) {
        if (wanted.kind === "take") watched.take(tenants[wanted.tenant % users], wanted);
        else if (wanted.kind === "give back") {
          const holding = watched.of("served");
          if (holding.length > 0) watched.giveBack(holding[wanted.which % holding.length]);
        } else {
          const waiting = watched.of("waiting");
          if (waiting.length > 0) waiting[wanted.which % waiting.length].caller.abort();
        }
        await look();
      }
      for (let [holder] = watched.of("served"); holder !== undefined; [holder] = watched.of("served")) {
        watched.giveBack(holder);
        await look();
      }
      expect(watched.of("waiting")).toEqual([]);
      for (const { state, caller } of watched.calls) expect({ state, left: caller.signal.aborted }).toEqual({ state: "refused", left: true });
    }), { numRuns: 100 });
  });
});
