import type { KubeObject, PodSpec } from "./kube-object.js";
import { podFaults } from "./pod-policies.js";

const safe = (): PodSpec => ({
  automountServiceAccountToken: false,
  securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } },
  containers: [{
    name: "one",
    image: "memseal/one:0.1.0",
    resources: { requests: { cpu: "1", memory: "1Gi" }, limits: { memory: "1Gi" } },
    securityContext: { allowPrivilegeEscalation: false, privileged: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
    startupProbe: {},
    readinessProbe: {},
  }],
});

function faultsAfter(change: (spec: PodSpec) => void): string[] {
  const spec = safe();
  change(spec);
  const deployment: KubeObject = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" }, spec: { template: { metadata: { labels: {} }, spec } } };
  return podFaults([deployment]);
}

const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: "nvidia.com/gpu.product", operator: "In", values: ["NVIDIA-L40"] }] }] } } };
const pinned = (spec: PodSpec) => {
  spec.containers[0].resources!.limits = { memory: "1Gi", "nvidia.com/gpu": 1 };
  spec.tolerations = [{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }];
  spec.affinity = affinity;
};

it("finds nothing wrong with a pod that may do no more than it must, on a GPU or not", () => {
  expect(faultsAfter(() => undefined)).toEqual([]);
  expect(faultsAfter(pinned)).toEqual([]);
});

it.each<[string, (spec: PodSpec) => void]>([
  ["may run as root", (spec) => { spec.securityContext!.runAsUser = 0; }],
  ["may run as root", (spec) => { delete spec.securityContext!.runAsNonRoot; }],
  ["has no seccomp profile", (spec) => { spec.securityContext!.seccompProfile = { type: "Unconfined" }; }],
  ["is given a token of the cluster", (spec) => { delete spec.automountServiceAccountToken; }],
  ["shares a namespace of the node", (spec) => { spec.hostNetwork = true; }],
  ["mounts disk of the node", (spec) => { spec.volumes = [{ name: "disk", hostPath: { path: "/" } }]; }],
  ["mounts the secret keys for more than it", (spec) => { spec.volumes = [{ name: "keys", secret: { secretName: "keys" } }]; }],
  ["may gain rights", (spec) => { delete spec.containers[0].securityContext!.allowPrivilegeEscalation; }],
  ["may write to its image", (spec) => { spec.containers[0].securityContext!.readOnlyRootFilesystem = false; }],
  ["keeps capabilities", (spec) => { spec.containers[0].securityContext!.capabilities = { drop: ["ALL"], add: ["NET_RAW"] }; }],
  ["requests no CPU or no memory", (spec) => { spec.containers[0].resources!.requests = { cpu: "1" }; }],
  ["has no limit of memory", (spec) => { spec.containers[0].resources!.limits = {}; }],
  ["may be another tomorrow", (spec) => { spec.containers[0].image = "memseal/one"; }],
  ["may be another tomorrow", (spec) => { spec.containers[0].image = "memseal/one:latest"; }],
  ["is sent calls before it is ready", (spec) => { delete spec.containers[0].readinessProbe; }],
  ["may write to /etc/memseal", (spec) => { spec.containers[0].volumeMounts = [{ name: "keys", mountPath: "/etc/memseal" }]; }],
  ["may write to its image", (spec) => { spec.initContainers = [{ ...safe().containers[0], securityContext: { allowPrivilegeEscalation: false, privileged: false, capabilities: { drop: ["ALL"] } } }]; }],
  ["may write to /evidence", (spec) => { spec.containers[0].volumeMounts = [{ name: "evidence", mountPath: "/evidence" }]; }],
  ["asks for a GPU of any product", (spec) => { pinned(spec); delete spec.affinity; }],
  ["does not tolerate the taint of GPU nodes", (spec) => { spec.initContainers = [{ ...safe().containers[0], resources: { ...safe().containers[0].resources, limits: { memory: "1Gi", "nvidia.com/gpu": 1 } } }]; spec.affinity = affinity; }],
  ["does not tolerate the taint of GPU nodes", (spec) => { pinned(spec); delete spec.tolerations; }],
  ["may take a place on a GPU node", (spec) => { spec.tolerations = [{ key: "nvidia.com/gpu", effect: "NoSchedule" }]; }],
])("sees a pod that %s", (fault, change) => {
  expect(faultsAfter(change)).toEqual([expect.stringContaining(fault)]);
});
