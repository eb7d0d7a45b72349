import type { KubeObject } from "./kube-object.js";
import { allowedPairs } from "./network-pairs.js";

const pod = (component: string): KubeObject => ({ apiVersion: "v1", kind: "Pod", metadata: { name: component, labels: { "app.kubernetes.io/component": component } }, spec: { containers: [] } });
const selector = (component: string) => ({ matchLabels: { "app.kubernetes.io/component": component } });
const policy = (component: string, rules: object): KubeObject => ({
  apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: component }, spec: { podSelector: selector(component), policyTypes: ["Ingress", "Egress"], ...rules },
});
const ports = [{ protocol: "TCP", port: 1 }];
const pods = [pod("a"), pod("b")];
const pairs = (...policies: KubeObject[]) => [...allowedPairs([...pods, ...policies])];

it("is a pair where both sides allow it, and none where one does", () => {
  const calls = policy("a", { egress: [{ to: [{ podSelector: selector("b") }], ports }] });
  const isCalled = policy("b", { ingress: [{ from: [{ podSelector: selector("a") }], ports }] });
  expect(pairs(calls, isCalled)).toEqual(["a > b:1"]);
  expect(pairs(calls, policy("b", {}))).toEqual([]);
  expect(pairs(policy("a", {}), isCalled)).toEqual([]);
});

it("has an address, a namespace, the cluster or anyone at its other end", () => {
  const out = (to: object[] | undefined) => pairs(policy("a", { egress: [{ ...(to === undefined ? {} : { to }), ports }] }), policy("b", {}));
  expect(out([{ ipBlock: { cidr: "10.0.0.0/8" } }])).toEqual(["a > 10.0.0.0/8:1"]);
  expect(out([{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "web" } } }])).toEqual(["a > web:1"]);
  expect(out([{ namespaceSelector: {} }])).toEqual(["a > the cluster:1"]);
  expect(out([])).toEqual(["a > anyone:1"]);
  expect(out(undefined)).toEqual(["a > anyone:1"]);
});

it("is anyone with any port where no policy chooses a pod", () => {
  expect(pairs(policy("a", {}))).toEqual(["anyone > b:any", "b > anyone:any"]);
});
