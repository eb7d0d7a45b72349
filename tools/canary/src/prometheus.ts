import { duration, type Cadence } from "./cadence.js";
import { jobOf, SERVICES, type Service } from "./services.js";

/** Of deploy/prometheus/prometheus.yml, which everything else is relative to. */
export function prometheusConfig({ scrapeS, evaluationS }: Cadence): { scrape_configs: object[] } & Record<string, unknown> {
  return {
    global: { scrape_interval: duration(scrapeS), scrape_timeout: duration(Math.min(scrapeS, 10)), evaluation_interval: duration(evaluationS) },
    rule_files: ["rules/*.yml"],
    alerting: { alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:9093"] }] }] },
    scrape_configs: SERVICES.map(scrapeConfig),
  };
}

function scrapeConfig(service: Service): object {
  return {
    job_name: jobOf(service),
    // A target says its track so that `up`, which no process shows, has one. What a process says of itself is kept: by honor_labels
    // no `exported_track` comes of it, and one that runs as another track than its target's is missed (MemsealTrackSilent).
    honor_labels: true,
    file_sd_configs: [{ files: [`targets/${service}*.yml`], refresh_interval: "5s" }],
    // A gateway's metrics are on its public port. The others' are served under the certificates between services.
    ...(service === "gateway" ? {} : { scheme: "https", tls_config: { ca_file: "tls/ca.crt", cert_file: "tls/prometheus.crt", key_file: "tls/prometheus.key" } }),
  };
}
