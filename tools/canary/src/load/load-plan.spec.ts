import { burstRequests, steadyRequest, type LoadRequest } from "./load-plan.js";

const KEYS = 40;
const first = (n: number) => Array.from({ length: n }, (_, i) => steadyRequest(i, KEYS));
const count = (requests: readonly LoadRequest[], is: (request: LoadRequest) => boolean) => requests.filter(is).length;

describe("the steady load", () => {
  const requests = first(4_000);
  const named = requests.filter(({ asked }) => asked !== "split");

  it("asks both tracks the same, as often, and neither always first", () => {
    const askedOf = (track: string) => named.filter(({ asked }) => asked === track).map(({ asked: _, ...what }) => what);
    expect(askedOf("canary")).toEqual(askedOf("stable"));
    expect(askedOf("canary")).toHaveLength(1_800);
    const firsts = named.filter((_, i) => i % 2 === 0);
    expect(count(firsts, ({ asked }) => asked === "canary")).toBe(firsts.length / 2);
  });

  it("has, once each track was asked 1,625 times, what the judge needs of each kind", () => {
    const canary = named.filter(({ asked }) => asked === "canary").slice(0, 1_625);
    expect(count(canary, ({ kind }) => kind === "search_stream")).toBeGreaterThanOrEqual(650);
    expect(count(canary, ({ rerank }) => rerank)).toBeGreaterThanOrEqual(250);
    expect(count(canary, ({ kind }) => kind === "search")).toBeGreaterThanOrEqual(60);
    expect(count(canary, ({ kind }) => kind === "add" || kind === "update")).toBeGreaterThanOrEqual(60);
    expect(count(canary, ({ kind }) => kind === "search_reranked") / canary.length).toBeCloseTo(0.1, 2);
  });

  it("names no track in one of ten, by each user in turn", () => {
    const split = requests.filter(({ asked }) => asked === "split");
    expect(split).toHaveLength(400);
    for (let credential = 0; credential < KEYS; credential++) expect(count(split, (one) => one.credential === credential)).toBe(10);
  });

  it("lets every user ask every kind", () => {
    const asked = new Set(first(40_000).map(({ credential, kind }) => `${credential} ${kind}`));
    expect(asked.size).toBe(KEYS * 5);
  });

  it("is asked by those there are", () => {
    for (const keys of [1, 3]) expect(Math.max(...Array.from({ length: 500 }, (_, i) => steadyRequest(i, keys).credential))).toBe(keys - 1);
  });
});

describe("the burst", () => {
  it("is 50 queries of 5 users, each to both tracks", () => {
    const users = burstRequests(KEYS);
    const requests = users.flat();
    expect(users).toHaveLength(5);
    expect(requests).toHaveLength(100);
    const askedOf = (track: string) => requests.filter(({ asked }) => asked === track).map(({ asked: _, ...what }) => what);
    expect(askedOf("canary")).toEqual(askedOf("stable"));
    expect(count(requests, ({ kind }) => kind === "search_reranked")).toBe(10);
  });
});
