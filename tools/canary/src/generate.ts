import { Document } from "yaml";
import { alertmanagerConfig } from "./alertmanager.js";
import { PRODUCTION } from "./cadence.js";
import { dashboards } from "./dashboards.js";
import { analysisTemplates, prometheusRule } from "./kubernetes.js";
import { prometheusConfig } from "./prometheus.js";
import { ruleTests } from "./rule-tests.js";
import { ruleGroups } from "./rules.js";

/** Folders of deploy/ that hold nothing else: a file that nobody generates any more must go. */
export const OWN_FOLDERS = ["prometheus/rules", "prometheus/tests", "alertmanager", "kubernetes", "argo", "grafana", "helm/memseal/generated"];

const MARK = " Generated from libs/guardrails by `npm run canary -- generate`: edit that, not this.";

/** Every generated file: its path in deploy/, and its text. */
export function generated(): Map<string, string> {
  const files = ownFiles();
  // A chart reads no file outside of its folder.
  for (const [path, text] of [...files]) if (/^(kubernetes|argo|grafana)\//.test(path)) files.set(`helm/memseal/generated/${path.replace(/^(kubernetes|argo)\//, "")}`, text);
  return files;
}

function ownFiles(): Map<string, string> {
  return new Map([
    ["prometheus/prometheus.yml", yaml(prometheusConfig(PRODUCTION))],
    ["prometheus/rules/guardrails.yml", yaml({ groups: ruleGroups(PRODUCTION) })],
    ...[...ruleTests()].map(([name, test]): [string, string] => [`prometheus/tests/${name}.yml`, yaml(test)]),
    ["alertmanager/alertmanager.yml", yaml(alertmanagerConfig(PRODUCTION))],
    ["kubernetes/prometheus-rule.yaml", yaml(prometheusRule(PRODUCTION))],
    ["argo/analysis-template.yaml", analysisTemplates(PRODUCTION).map(yaml).join("---\n")],
    ...dashboards().map((dashboard): [string, string] => [`grafana/${dashboard.uid}.json`, `${JSON.stringify(dashboard, null, 2)}\n`]),
  ]);
}

function yaml(value: object): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  document.commentBefore = MARK;
  return document.toString({ lineWidth: 0 });
}
