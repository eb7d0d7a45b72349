import { podsOf, type KubeObject, type Labels } from "./kube-object.js";

interface Peer {
  podSelector?: { matchLabels?: Labels };
  namespaceSelector?: { matchLabels?: Labels };
  ipBlock?: { cidr: string };
}

interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports?: { protocol: string; port: number }[];
}

interface PolicySpec {
  podSelector: { matchLabels?: Labels };
  policyTypes: string[];
  ingress?: Rule[];
  egress?: Rule[];
}

const COMPONENT = "app.kubernetes.io/component";

function selects(selector: { matchLabels?: Labels }, labels: Labels): boolean {
  return Object.entries(selector.matchLabels ?? {}).every(([name, value]) => labels[name] === value);
}

/**
 * Who may call whom where, as `gateway > indexer:7482`: what one pod of ours may call and the other may be called by, and what goes
 * in or out. A pair of ours that only one side allows is none. A side that nothing denies is `anyone`.
 */
export function allowedPairs(objects: readonly KubeObject[]): Set<string> {
  const policies = objects.filter(({ kind }) => kind === "NetworkPolicy").map(({ spec }) => spec as PolicySpec);
  const pods = podsOf(objects).map(({ labels }) => labels);
  const nameOf = (labels: Labels) => labels[COMPONENT] ?? "?";
  const ends = (labels: Labels, direction: "ingress" | "egress"): string[] => {
    const own = policies.filter(({ podSelector, policyTypes }) => selects(podSelector, labels) && policyTypes.includes(direction === "ingress" ? "Ingress" : "Egress"));
    if (own.length === 0) return ["anyone:any"];
    return own.flatMap((policy) => policy[direction] ?? []).flatMap((rule) => {
      const peers = direction === "ingress" ? rule.from : rule.to;
      const names = peers === undefined || peers.length === 0 ? ["anyone"] : peers.flatMap((peer) => peerNames(peer, pods, nameOf));
      const ports = rule.ports === undefined || rule.ports.length === 0 ? ["any"] : rule.ports.map(({ port }) => String(port));
      return names.flatMap((name) => ports.map((port) => `${name}:${port}`));
    });
  };
  const ours = new Set(pods.map(nameOf));
  const outgoing = new Set(pods.flatMap((labels) => ends(labels, "egress").map((end) => `${nameOf(labels)} > ${end}`)));
  const incoming = new Set(pods.flatMap((labels) => ends(labels, "ingress").map((end) => {
    const [name = "", port = ""] = end.split(/:(?=[^:]*$)/);
    return `${name} > ${nameOf(labels)}:${port}`;
  })));
  const isOurs = (name: string) => ours.has(name);
  const endsOf = (pair: string) => { const [from = "", to = ""] = pair.split(" > "); return { from, to: to.split(":")[0] ?? "" }; };
  return new Set([
    ...[...outgoing].filter((pair) => !isOurs(endsOf(pair).to) || incoming.has(pair)),
    ...[...incoming].filter((pair) => !isOurs(endsOf(pair).from) || outgoing.has(pair)),
  ].sort());
}

function peerNames({ podSelector, namespaceSelector, ipBlock }: Peer, pods: readonly Labels[], nameOf: (labels: Labels) => string): string[] {
  if (ipBlock !== undefined) return [ipBlock.cidr];
  if (namespaceSelector === undefined) return [...new Set(pods.filter((labels) => selects(podSelector ?? {}, labels)).map(nameOf))];
  const namespace = namespaceSelector.matchLabels?.["kubernetes.io/metadata.name"];
  return [namespace === undefined ? "the cluster" : namespace];
}
