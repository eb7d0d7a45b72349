import { UnavailableError } from "@memseal/errors";
import { Metrics, METRICS_CONTENT_TYPE } from "@memseal/telemetry";
import { Controller, Get, Header } from "@nestjs/common";
import { Drain } from "./drain.js";
import { IndexerClient } from "./indexer-client.js";

/** For orchestrators and scrapers. */
@Controller()
export class HealthHttp {
  constructor(
    private readonly indexer: IndexerClient,
    private readonly metrics: Metrics,
    private readonly drain: Drain,
  ) {}

  @Get("healthz")
  isUp(): object {
    return { status: "up" };
  }

  /** Ready means that the indexer serves, and that this process is to stay. The reranker has no say: without it answers are worse, not absent. */
  @Get("readyz")
  async isReady(): Promise<object> {
    if (this.drain.isDraining) throw new UnavailableError("this gateway is about to stop");
    if (!(await this.indexer.isServing())) throw new UnavailableError("the indexer does not serve");
    return { status: "ready" };
  }

  @Get("metrics")
  @Header("content-type", METRICS_CONTENT_TYPE)
  render(): Promise<string> {
    return this.metrics.render();
  }
}
