import { UnavailableError } from "@memseal/errors";
import { Metrics, METRICS_CONTENT_TYPE } from "@memseal/telemetry";
import { Controller, Get, Header } from "@nestjs/common";
import { IndexerClient } from "./indexer-client.js";

/** For orchestrators and scrapers. */
@Controller()
export class HealthHttp {
  constructor(
    private readonly indexer: IndexerClient,
    private readonly metrics: Metrics,
  ) {}

  @Get("healthz")
  isUp(): object {
    return { status: "up" };
  }

  /** Ready means that the indexer serves. The reranker has no say: without it answers are worse, not absent. */
  @Get("readyz")
  async isReady(): Promise<object> {
    if (!(await this.indexer.isServing())) throw new UnavailableError("the indexer does not serve");
    return { status: "ready" };
  }

  @Get("metrics")
  @Header("content-type", METRICS_CONTENT_TYPE)
  render(): Promise<string> {
    return this.metrics.render();
  }
}
