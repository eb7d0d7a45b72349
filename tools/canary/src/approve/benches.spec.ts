import { tableOf } from "./benches.js";

/** As a bench of v0.1.0 printed it. */
const PRINTED = `Whole query: gateway, indexer and reranker as three processes on the embedded PostgreSQL, asked over gRPC
commit 7313c8a; 2026-11-27; Node 20.20.2, OpenSSL 3.0.19
2 x AMD EPYC, 24 GiB
production's 250 ms for reranking; figure of speech
figure                                median  unit   spread          commit  aim
whole query p95, 1 in flight          136     ms     127 .. 143      130     85.0   MISSED
of it embed p95                       13.2    ms     9.24 .. 16.1    -       -
answered in time, 4 in flight         1.00    of 1                   1.00    -      commit  any other answer ends the bench
queries, 4 in flight                  5,123   1/s                    -       -
calls refused                         NaN     of 24  12.0 .. 12.0    -       -
1 of 10 figures miss their commit
`;

describe("a printed table", () => {
  it("is read row by row: figure, median, unit", () => {
    expect(tableOf(PRINTED).figures.map(({ what, median, unit }) => [what, median, unit])).toEqual([
      ["whole query p95, 1 in flight", 136, "ms"],
      ["of it embed p95", 13.2, "ms"],
      ["answered in time, 4 in flight", 1, "of 1"],
      ["queries, 4 in flight", 5_123, "1/s"],
      ["calls refused", null, "of 24"],
    ]);
  });

  it("that is not there is an error", () => {
    expect(() => tableOf("it crashed\n")).toThrow("no table");
  });
});
