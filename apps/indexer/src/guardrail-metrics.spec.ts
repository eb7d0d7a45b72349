import { IndexerServiceService } from "@memseal/contracts/indexer";
import { GUARDRAILS, seriesOf } from "@memseal/guardrails";

describe("what a guardrail watches of calls to the indexer", () => {
  it("is a method it has", () => {
    const methods = new Set(Object.values(IndexerServiceService).map(({ path }) => path.slice(1)));
    const watched = GUARDRAILS.flatMap(seriesOf).filter(({ metric }) => metric.startsWith("memseal_call_")).flatMap(({ labels }) => labels?.method ?? []);
    expect(watched).not.toEqual([]);
    for (const method of watched) expect(methods).toContain(method);
  });
});
