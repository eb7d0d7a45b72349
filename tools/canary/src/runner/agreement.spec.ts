import { LOOK_QUERIES, type Asked } from "../adapters/prometheus.js";
import { agreementOf, disagreements, type Agreement } from "./agreement.js";

/** What Prometheus shows of the gateways: a value by instance. */
function shown(values: Readonly<Record<string, number>>): Asked[] {
  const result = (of: (instance: string, value: number) => object) => JSON.stringify({ status: "success", data: { resultType: "vector", result: Object.entries(values).map(([instance, value]) => of(instance, value)) } });
  const labels = (instance: string) => ({ job: "memseal-gateway", instance, track: instance.startsWith("canary") ? "canary" : "stable" });
  const asked = (query: string, body: string): Asked => ({ query, url: "http://x", asked_at: "", answered_at: "", status: 200, body });
  return [
    asked(LOOK_QUERIES[0], result((instance, value) => ({ metric: { __name__: "memseal_requests_total", code: "ok", ...labels(instance) }, value: [1, String(value)] }))),
    asked(LOOK_QUERIES[1], result((instance) => ({ metric: labels(instance), value: [1, "1"] }))),
  ];
}

const answers = (canary: number, stable: number) => ({ answers: { canary, stable } });
const counted = (...looks: Readonly<Record<string, number>>[]) =>
  agreementOf({ before: answers(10, 20), after: answers(110, 320), answers: looks.map(shown), rows: [{ track: "canary" }, { track: "stable" }, { track: "stable" }, { track: null }] });

describe("requests of a release", () => {
  it("are counted by client, load balancer and Prometheus, each since the release began", () => {
    expect(counted({ canary: 5, stable: 1_000 }, { canary: 50, stable: 1_100 }, { canary: 105, stable: 1_300 })).toEqual({
      client: { canary: 1, stable: 2 },
      load_balancer: { canary: 100, stable: 300 },
      prometheus: { canary: 100, stable: 300 },
    });
  });

  it("count whole where a gateway began again, or came later", () => {
    expect(counted({ canary: 5, stable: 100 }, { canary: 25, stable: 3 }, { canary: 25, stable: 7, "stable-2": 4 }).prometheus).toEqual({ canary: 20, stable: 11 });
  });

  it.each<[string, Partial<Agreement>, number]>([
    ["nobody", {}, 0],
    ["the client by 1% at most", { client: { canary: 990, stable: 1_000 } }, 0],
    ["the client by more", { client: { canary: 989, stable: 1_000 } }, 1],
    ["Prometheus on both", { prometheus: { canary: 900, stable: 1_100 } }, 2],
    ["the load balancer", { load_balancer: { canary: 1_000, stable: 1_011 } }, 1],
  ])("differ where %s counts otherwise", (_who, change, lines) => {
    const same = { canary: 1_000, stable: 1_000 };
    expect(disagreements({ client: same, load_balancer: same, prometheus: same, ...change }, "local-demo")).toHaveLength(lines);
  });

  it("are of others, too, in a live release, of which the client's are a part", () => {
    const all = { load_balancer: { canary: 1_000, stable: 9_000 }, prometheus: { canary: 1_000, stable: 9_000 } };
    expect(disagreements({ ...all, client: { canary: 50, stable: 50 } }, "live")).toEqual([]);
    expect(disagreements({ ...all, client: { canary: 1_001, stable: 50 } }, "live")).toHaveLength(1);
  });
});
