import fc from "fast-check";
import { LOOK_QUERIES, PrometheusClient, samplesIn, vectorIn, type Asked } from "./prometheus.js";

const asked = (query: string, body: unknown, status = 200): Asked => ({ query, url: "http://x", asked_at: "", answered_at: "", status, body: typeof body === "string" ? body : JSON.stringify(body) });
const vector = (result: unknown[]) => ({ status: "success", data: { resultType: "vector", result } });
const up = (instance: string, atS: string) => ({ metric: { job: "memseal-gateway", instance, track: "canary" }, value: [100, atS] });
const sample = (instance: string, value: string) => ({ metric: { __name__: "memseal_requests_total", job: "memseal-gateway", instance, track: "canary", code: "ok" }, value: [100, value] });

describe("what Prometheus answers", () => {
  it("becomes samples of the time at which their process was scraped", () => {
    const [values, scrapes] = LOOK_QUERIES;
    const samples = samplesIn([asked(values, vector([sample("a", "7"), sample("b", "8")])), asked(scrapes, vector([up("a", "99.5"), up("b", "98")]))]);
    expect(samples).toMatchObject([
      { metric: "memseal_requests_total", value: 7, atS: 99.5, labels: { instance: "a", code: "ok" } },
      { metric: "memseal_requests_total", value: 8, atS: 98 },
    ]);
  });

  it("of a process that nobody knows to have been scraped has no time", () => {
    expect(samplesIn([asked(LOOK_QUERIES[0], vector([sample("a", "7")]))])).toMatchObject([{ atS: NaN }]);
  });

  it("is nothing where it is no answer, whatever it is", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
      expect(vectorIn(asked("up", body))).toEqual([]);
    }));
    expect(vectorIn(asked("up", vector([up("a", "1")]), 503))).toEqual([]);
    expect(vectorIn(asked("up", vector([up("a", "1")])))).toHaveLength(1);
  });

  it("is kept with its fault where nobody answers", async () => {
    const answer = await new PrometheusClient("http://127.0.0.1:1").ask("up", 12.5);
    expect(answer).toMatchObject({ query: "up", url: "http://127.0.0.1:1/api/v1/query?query=up&time=12.500", status: null });
    expect(answer.body).not.toBe("");
  });
});
