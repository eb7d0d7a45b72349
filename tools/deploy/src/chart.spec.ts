import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { schemaFaults } from "./closed-schemas.js";
import { CHART, helm, render } from "./helm.js";
import { podsOf, type Container, type KubeObject } from "./kube-object.js";
import { allowedPairs } from "./network-pairs.js";
import { podFaults } from "./pod-policies.js";

const root = new URL("../../../", import.meta.url);
const text = (path: string) => readFileSync(new URL(path, root), "utf8");
const valuesOf = (name: string) => join(CHART, "ci", `${name}.yaml`);
const cases = new Map<string, KubeObject[]>([
  ["defaults", render({})],
  ...readdirSync(join(CHART, "ci")).sort().map((file): [string, KubeObject[]] => [file.replace(".yaml", ""), render({ files: [join(CHART, "ci", file)] })]),
]);
const named = (name: string) => cases.get(name) ?? [];
const find = (objects: readonly KubeObject[], kind: string, name: string) => objects.find((object) => object.kind === kind && object.metadata.name === `memseal-${name}`);
const containerOf = (objects: readonly KubeObject[], component: string): Container => podsOf(objects).find(({ labels }) => labels["app.kubernetes.io/component"] === component)!.spec.containers[0];
const envOf = ({ env = [] }: Container, name: string) => env.find((one) => one.name === name)?.value;

it("is tried with defaults, as little as can serve, a GPU, Argo, autoscaling, a database of one's own and cert-manager", () => {
  expect([...cases.keys()]).toEqual(["defaults", "argo", "autoscaling", "cert-manager", "external-database", "gpu", "minimal"]);
});

describe.each([...cases])("under the values %s", (name, objects) => {
  it("passes helm lint", () => {
    expect(helm("lint", "--strict", CHART, ...(name === "defaults" ? [] : ["-f", valuesOf(name)]))).toMatchObject({ status: 0 });
  });

  it("makes pods that may do no more than they must", () => {
    expect(podFaults(objects)).toEqual([]);
  });

  it("tells each service what it reads, and nothing else", () => {
    const shared = ["parse-config", "transport-variables"].map((file) => text(`libs/config/src/${file}.ts`)).join();
    for (const [component, app] of [["gateway", "gateway"], ["indexer", "indexer"], ["reranker", "reranker"], ["embedder", "reranker"], ["migrations", "cli"], ["test", "cli"]]) {
      const known = new Set(`${shared}${text(`apps/${app}/src/config.ts`)}`.match(/\b(MEMSEAL|DATABASE)_[A-Z0-9_]+(?=:)/g));
      const names = (containerOf(objects, component).env ?? []).map((one) => one.name);
      expect(new Set(names).size).toBe(names.length);
      // What every Node.js reads.
      known.add("NODE_EXTRA_CA_CERTS");
      for (const variable of names) expect([component, variable, known.has(variable)]).toEqual([component, variable, true]);
    }
  });

  it("gives each secret to the one who needs it", () => {
    const holders = new Map<string, string[]>();
    for (const { labels, spec } of podsOf(objects)) {
      const refs = spec.containers.flatMap(({ env = [] }) => env.flatMap(({ valueFrom }) => (valueFrom as { secretKeyRef?: { name: string } } | undefined)?.secretKeyRef?.name ?? []));
      for (const secret of new Set([...refs, ...(spec.volumes ?? []).flatMap((volume) => volume.secret?.secretName ?? [])])) {
        holders.set(secret, [...new Set([...(holders.get(secret) ?? []), labels["app.kubernetes.io/component"]])]);
      }
    }
    const prefix = name === "external-database" ? "vault" : "memseal";
    expect(holders.get(`${prefix}-root-key`)).toEqual(["indexer"]);
    expect(holders.get(`${prefix}-gateway`)).toEqual(["gateway"]);
    expect(holders.get(`${prefix}-database`)).toEqual(["indexer"]);
    expect(holders.get(`${prefix}-database-owner`)).toEqual(["migrations"]);
    for (const component of ["gateway", "indexer", "reranker", "embedder"]) expect(holders.get(`memseal-${component}-tls`)).toEqual([component]);
    expect(holders.get("memseal-prometheus-tls")).toBeUndefined();
  });

  it("has for each service a budget of disruption, and Services that lead to its pods", () => {
    const pods = podsOf(objects);
    const chosenBy = (selector: Readonly<Record<string, string>>) => pods.filter(({ labels }) => Object.entries(selector).every(([key, value]) => labels[key] === value));
    for (const { kind, spec } of objects) {
      if (kind === "PodDisruptionBudget") expect(chosenBy((spec as { selector: { matchLabels: Record<string, string> } }).selector.matchLabels)).toHaveLength(1);
      if (kind !== "Service") continue;
      const { selector, ports } = spec as { selector: Record<string, string>; ports: { targetPort: string }[] };
      const [chosen, ...others] = chosenBy(selector);
      expect(others).toEqual([]);
      for (const { targetPort } of ports) expect(chosen.spec.containers[0].ports?.map((port) => port.name)).toContain(targetPort);
    }
    const budgets = objects.filter(({ kind }) => kind === "PodDisruptionBudget").length;
    expect(budgets).toBe(pods.filter(({ isRun }) => !isRun).length);
  });
});

describe("the APIs of the cluster", () => {
  it("know every field of every object, and take its value", async () => {
    expect(await schemaFaults(cases)).toEqual([]);
  }, 120_000);

  it("would be seen to refuse a field that they do not know, and a value of another kind", async () => {
    const broken = (change: (gateway: { spec: { template: { spec: { containers: Record<string, unknown>[] } } } }) => void) => {
      const gateway = structuredClone(find(named("defaults"), "Deployment", "gateway")) as KubeObject;
      change(gateway as never);
      return [gateway];
    };
    const faults = await schemaFaults(new Map([
      ["misspelt", broken(({ spec }) => { spec.template.spec.containers[0]["readinesProbe"] = {}; })],
      ["a number", broken(({ spec }) => { spec.template.spec.containers[0]["image"] = 3; })],
    ]));
    expect(faults).toEqual(expect.arrayContaining([
      expect.stringMatching(/^misspelt: Deployment memseal-gateway: .*readinesProbe/),
      expect.stringMatching(/^a number: Deployment memseal-gateway: .*image must be string/),
    ]));
  }, 120_000);
});

describe("a value", () => {
  it.each(["gatway.replicas=2", "gateway.replcas=2", "reranker.gpu.product=A", "indexer.resources.limits.memroy=1Gi", "database.peers[0].ipBlok.cidr=10.0.0.0/8"])("that is misspelt is refused: %s", (set) => {
    expect(() => render({ set: [set] })).toThrow(/additional properties '\w+' not allowed/);
  });

  it.each(["gateway.replicas=none", "image.tag=latest", "gateway.env.PATH=/x", "embedder.endpoint.url=http://embed.example.com", "embedder.endpoint.url=https://embed.example.com", "reranker.gpu.products=null", "argo.steps[0].weight=0"])("that cannot be is refused: %s", (set) => {
    expect(() => render({ set: [set] })).toThrow("values don't meet the specifications");
  });

  it("of no object may be one that the schema does not name, but for labels and variables", () => {
    const open: string[] = [];
    const walk = (schema: unknown, path: string) => {
      if (typeof schema !== "object" || schema === null) return;
      const { type, additionalProperties } = schema as { type?: unknown; additionalProperties?: unknown };
      if (type === "object" && additionalProperties !== false) open.push(path);
      for (const [key, value] of Object.entries(schema)) walk(value, `${path}/${key}`);
    };
    walk(JSON.parse(readFileSync(join(CHART, "values.schema.json"), "utf8")), "");
    // `global` is Helm's.
    expect(open).toEqual(["/properties/global", "/definitions/labels", "/definitions/env"]);
  });
});

describe("the network", () => {
  const documented = [...text("docs/deploy.md").matchAll(/^\| `([^`|]+ > [^`|]+)` \|/gm)].map(([, pair = ""]) => pair);

  it("lets through what docs/deploy.md lists and nothing else", () => {
    expect([...allowedPairs(named("external-database"))]).toEqual([...documented].sort());
  });

  it("lets through by default what names no place outside the cluster, and from gateways the cluster's callers", () => {
    expect([...allowedPairs(named("defaults"))]).toEqual([
      ...["embedder", "gateway", "indexer", "migrations", "reranker", "test"].map((component) => `${component} > kube-system:53`),
      "gateway > embedder:7483", "gateway > indexer:7482", "gateway > reranker:7483",
      "monitoring > embedder:9483", "monitoring > gateway:7480", "monitoring > indexer:9482", "monitoring > reranker:9483",
      "test > gateway:7480", "the cluster > gateway:7480", "the cluster > gateway:7481",
    ].sort());
  });

  it("is seen to be open where nothing denies", () => {
    expect([...allowedPairs(render({ set: ["networkPolicy.enabled=false"] }))]).toContain("anyone > indexer:any");
  });

  it("gives certificates the names that services are looked for under", () => {
    const objects = render({ files: [valuesOf("cert-manager"), valuesOf("argo")] });
    const gateway = containerOf(objects, "gateway");
    for (const [component, variable] of [["indexer", "MEMSEAL_INDEXER_ADDRESS"], ["reranker", "MEMSEAL_RERANKER_ADDRESS"], ["embedder", "MEMSEAL_EMBEDDER_ADDRESS"]] as const) {
      const host = envOf(gateway, variable)?.split(":")[0];
      expect(objects.filter(({ kind, metadata }) => kind === "Service" && metadata.name === host)).toHaveLength(1);
      const { dnsNames } = find(objects, "Certificate", component)!.spec as { dnsNames: string[] };
      expect(dnsNames).toContain(host);
      const { podMetricsEndpoints } = find(objects, "PodMonitor", component)!.spec as { podMetricsEndpoints: { tlsConfig: { serverName: string } }[] };
      expect(dnsNames).toContain(podMetricsEndpoints[0].tlsConfig.serverName);
      expect((find(objects, "Certificate", "gateway")!.spec as { dnsNames: string[] }).dnsNames).toContain(envOf(containerOf(objects, component), "MEMSEAL_TLS_PEER_NAMES"));
    }
  });
});

describe("models", () => {
  it("have a GPU of the named products for scores, and none for embeddings, so that writes go on without the pool", () => {
    const objects = named("gpu");
    const [reranker, embedder] = ["reranker", "embedder"].map((component) => containerOf(objects, component));
    expect(reranker).toMatchObject({ args: ["--serve", "rerank"], resources: { limits: { "nvidia.com/gpu": 1 } } });
    expect(envOf(reranker, "MEMSEAL_DEVICE")).toBe("cuda");
    expect(embedder).toMatchObject({ args: ["--serve", "embed"] });
    expect(envOf(embedder, "MEMSEAL_DEVICE")).toBe("cpu");
    expect(JSON.stringify(podsOf(objects).find(({ of }) => of === "Deployment memseal-reranker")!.spec.affinity)).toContain('"values":["NVIDIA-L40S","NVIDIA-A100-80GB-PCIe"]');
    expect(find(objects, "Deployment", "reranker")).toMatchObject({ spec: { strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } } } });
    expect(find(named("defaults"), "Deployment", "reranker")).toMatchObject({ spec: { strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } } });
  });

  it("are approved on a node of the same products, by a key that nobody else holds, where that is wanted", () => {
    expect(find(named("defaults"), "Job", "gpu-approval")).toBeUndefined();
    const job = podsOf(named("gpu")).find(({ of }) => of === "Job memseal-gpu-approval")!;
    const reranker = podsOf(named("gpu")).find(({ of }) => of === "Deployment memseal-reranker")!;
    expect(job.spec.affinity).toEqual(reranker.spec.affinity);
    expect(job.spec.tolerations).toEqual(reranker.spec.tolerations);
    expect(job.spec.initContainers).toMatchObject([{ args: ["--serve", "rerank"], restartPolicy: "Always", image: reranker.spec.containers[0].image, resources: { limits: { "nvidia.com/gpu": 1 } } }]);
    expect(envOf(job.spec.initContainers![0], "MEMSEAL_DEVICE")).toBe("cuda");
    expect(job.spec.containers).toMatchObject([{ command: ["/usr/local/bin/node", "dist/approve-gpu.js"] }]);
    const holders = podsOf(named("gpu")).filter(({ spec }) => spec.volumes?.some(({ secret }) => secret?.secretName === "memseal-approval-key"));
    expect(holders.map(({ of }) => of)).toEqual(["Job memseal-gpu-approval"]);
  });

  it("have as long to load as they were given", () => {
    for (const component of ["reranker", "embedder"]) {
      const { periodSeconds = 0, failureThreshold = 0 } = containerOf(named("defaults"), component).startupProbe ?? {};
      expect(periodSeconds * failureThreshold).toBe(300);
    }
  });
});

describe("a release by Argo", () => {
  const argo = named("argo");

  it("gives the candidate's gateways the candidate's indexers, and the stable ones theirs", () => {
    const address = (objects: readonly KubeObject[]) => envOf(containerOf(objects, "gateway"), "MEMSEAL_INDEXER_ADDRESS")?.split(":")[0];
    const before = address(render({ files: [valuesOf("argo")], set: ["argo.candidateTag="] }));
    const sets = argo.filter(({ kind }) => kind === "StatefulSet");
    expect(sets.map(({ metadata }) => metadata.name)).toEqual([before, address(argo)]);
    expect(podsOf(sets).map(({ labels, spec }) => [labels["track"], spec.containers[0].image])).toEqual([["stable", "memseal/indexer:0.1.0"], ["canary", "memseal/indexer:0.2.0"]]);
  });

  it("that was promoted is promoted: the same gateways under the next values, and nothing rolled out", () => {
    const promoted = render({ files: [valuesOf("argo")], set: ["image.tag=0.2.0", "argo.candidateTag="] });
    const templateOf = (objects: readonly KubeObject[]) => (find(objects, "Rollout", "gateway")!.spec as { template: unknown }).template;
    expect(templateOf(promoted)).toEqual(templateOf(argo));
  });

  it("is judged by what is generated, and by nothing older", () => {
    expect(find(argo, "PrometheusRule", "guardrails")!.spec).toEqual((parse(text("deploy/kubernetes/prometheus-rule.yaml")) as KubeObject).spec);
    const templates = parseAllDocuments(text("deploy/argo/analysis-template.yaml")).map((document) => document.toJS() as KubeObject);
    expect(argo.filter(({ kind }) => kind === "AnalysisTemplate").map(({ metadata, spec }) => [metadata.name, spec])).toEqual(templates.map(({ metadata, spec }) => [metadata.name, spec]));
    const dashboards = argo.filter(({ kind }) => kind === "ConfigMap").flatMap(({ data = {} }) => Object.entries(data)).map(([file, json]) => [file, JSON.parse(json) as unknown]);
    expect(dashboards).toEqual(readdirSync(new URL("deploy/grafana", root)).sort().map((file) => [file, JSON.parse(text(`deploy/grafana/${file}`)) as unknown]));
  });

  it("is scraped under the jobs that the rules know, with the track that each pod has now", () => {
    const monitors = argo.filter(({ kind }) => kind === "PodMonitor").map(({ spec }) => (spec as { podMetricsEndpoints: { honorLabels: boolean; relabelings: { targetLabel: string; replacement?: string; sourceLabels?: string[] }[] }[] }).podMetricsEndpoints[0]);
    expect(monitors.map(({ relabelings }) => relabelings.find(({ targetLabel }) => targetLabel === "job")?.replacement)).toEqual(["memseal-gateway", "memseal-indexer", "memseal-reranker", "memseal-reranker"]);
    for (const { honorLabels, relabelings } of monitors) {
      expect(honorLabels).toBe(false);
      expect(relabelings).toContainEqual({ sourceLabels: ["__meta_kubernetes_pod_label_track"], targetLabel: "track" });
    }
  });
});

describe("a pod that is told to stop", () => {
  it("goes on answering until nobody sends it calls, and has the time to end by itself", () => {
    const objects = render({ set: ["gateway.drainSeconds=20"] });
    for (const [component, drainMs] of [["gateway", "20000"], ["reranker", "5000"], ["embedder", "5000"]]) {
      expect(envOf(containerOf(objects, component), "MEMSEAL_DRAIN_MS")).toBe(drainMs);
      const { terminationGracePeriodSeconds = 0 } = podsOf(objects).find(({ labels }) => labels["app.kubernetes.io/component"] === component)!.spec;
      expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(Number(drainMs) / 1_000 + 15);
    }
  });
});

it("the next pod goes only once the one before has been ready for a while", () => {
  for (const [kind, component] of [["Deployment", "gateway"], ["StatefulSet", "indexer"], ["Deployment", "reranker"], ["Deployment", "embedder"]] as const) {
    expect((find(named("defaults"), kind, component)!.spec as { minReadySeconds?: number }).minReadySeconds).toBe(5);
  }
});

describe("around an installation", () => {
  it("the schema goes first, as owner, and a test writes and finds a memory", () => {
    expect(find(named("defaults"), "Job", "migrations")!.metadata.annotations).toMatchObject({ "helm.sh/hook": "pre-install,pre-upgrade" });
    expect(containerOf(named("defaults"), "migrations").args).toEqual(["migrate", "up"]);
    expect(find(named("defaults"), "Pod", "test")!.metadata.annotations).toMatchObject({ "helm.sh/hook": "test" });
    expect(containerOf(named("defaults"), "test").args).toEqual(["round-trip"]);
    expect(envOf(containerOf(named("external-database"), "test"), "MEMSEAL_URL")).toBe("https://memseal-gateway:7480");
  });
});
