import type { LoadRow } from "./load-row.js";
import { summarize } from "./load-summary.js";

let n = 0;
const row = (of: Partial<LoadRow>): LoadRow => ({
  n: ++n, at: "2026-01-01T00:00:00.000Z", credential: 0, asked: "canary", track: "canary", kind: "search", status: 200, ms: 10, reranked: null, integrity_failures: 0, error: null, ...of,
});

describe("the summary of a load", () => {
  it("counts by who answered, not by who was asked", () => {
    const { tracks } = summarize([row({}), row({ track: "stable" }), row({ track: "stable", status: 500, error: "internal" })]);
    expect(tracks.canary).toMatchObject({ requests: 1, failures: 0 });
    expect(tracks.stable).toMatchObject({ requests: 2, failures: 1 });
  });

  it("keeps what nobody is known to have answered", () => {
    expect(summarize([row({ track: null, status: 0, error: "ECONNRESET" })])).toMatchObject({ requests: 1, without_track: 1 });
  });

  it("gives the latency of each kind by nearest rank, and none where nothing was asked", () => {
    const { by_kind: kinds } = summarize(Array.from({ length: 100 }, (_, i) => row({ ms: 100 - i, kind: "add" }))).tracks.canary;
    expect(kinds.add).toEqual({ requests: 100, failures: 0, p50_ms: 50, p95_ms: 95, p99_ms: 99 });
    expect(kinds.search).toEqual({ requests: 0, failures: 0, p50_ms: null, p95_ms: null, p99_ms: null });
  });

  it("tells reranked from skipped, and from what was not to be", () => {
    expect(summarize([row({ reranked: true }), row({ reranked: true }), row({ reranked: false }), row({})]).tracks.canary).toMatchObject({ reranked: 2, rerank_skipped: 1 });
  });

  it("observes the split in credentials, each where it was last, and in requests", () => {
    const split = (credential: number, track: LoadRow["track"]) => row({ asked: "split", credential, track });
    const rows = [split(0, "stable"), split(1, "stable"), split(2, "canary"), split(3, "stable"), split(0, "canary"), split(1, null), row({ credential: 9 })];
    expect(summarize(rows).split).toEqual({
      requests: 5, canary_requests: 2, canary_requests_percent: 40, credentials: 4, canary_credentials: 2, canary_credentials_percent: 50,
    });
    expect(summarize([]).split).toMatchObject({ canary_requests_percent: null, canary_credentials_percent: null });
  });
});
