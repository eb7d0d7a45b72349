import { podsOf, type Container, type KubeObject, type Pods } from "./kube-object.js";

const GPU = "nvidia.com/gpu";

/** A line for each way in which a pod may do more than it must, takes what it likes, or is not watched. */
export function podFaults(objects: readonly KubeObject[]): string[] {
  return podsOf(objects).flatMap((pods) => [
    ...faultsOfPod(pods).map((fault) => `${pods.of}: ${fault}`),
    ...[...pods.spec.containers, ...(pods.spec.initContainers ?? [])].flatMap((container) => faultsOfContainer(container, pods).map((fault) => `${pods.of}, ${container.name}: ${fault}`)),
  ]);
}

function faultsOfPod({ spec }: Pods): string[] {
  const { securityContext: security, volumes = [] } = spec;
  return [
    ...(security?.runAsNonRoot === true && (security.runAsUser ?? 0) > 0 ? [] : ["may run as root"]),
    ...(security?.seccompProfile?.type === "RuntimeDefault" ? [] : ["has no seccomp profile"]),
    ...(spec.automountServiceAccountToken === false ? [] : ["is given a token of the cluster"]),
    ...(spec.hostNetwork === true || spec.hostPID === true || spec.hostIPC === true ? ["shares a namespace of the node"] : []),
    ...volumes.filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => `mounts ${name} of the node`),
    // Read by the pod's group alone: the processes refuse a secret that everybody may read.
    ...volumes.filter(({ secret }) => secret !== undefined && secret.defaultMode !== 0o440).map(({ name }) => `mounts the secret ${name} for more than it`),
    ...gpuFaults(spec),
  ];
}

/** Where a GPU is asked for, the node must have one of those that are named; where none is, the pod must not be drawn to such a node. */
function gpuFaults({ containers, initContainers = [], affinity, tolerations = [] }: Pods["spec"]): string[] {
  const asked = [...containers, ...initContainers].some(({ resources }) => resources?.limits?.[GPU] !== undefined);
  const tolerates = tolerations.some(({ key, effect }) => key === GPU && effect === "NoSchedule");
  if (!asked) return tolerates ? ["may take a place on a GPU node"] : [];
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const isPinned = terms.length > 0 && terms.every(({ matchExpressions }) => matchExpressions.some(({ key, operator, values }) => key === `${GPU}.product` && operator === "In" && values.length > 0));
  return [...(isPinned ? [] : ["asks for a GPU of any product"]), ...(tolerates ? [] : ["does not tolerate the taint of GPU nodes"])];
}

function faultsOfContainer({ image, resources, securityContext: security, startupProbe, readinessProbe, volumeMounts = [] }: Container, { isRun }: Pods): string[] {
  return [
    ...(security?.allowPrivilegeEscalation === false && security.privileged === false ? [] : ["may gain rights"]),
    ...(security?.readOnlyRootFilesystem === true ? [] : ["may write to its image"]),
    ...(security?.capabilities?.drop?.includes("ALL") === true && security.capabilities.add === undefined ? [] : ["keeps capabilities"]),
    ...(resources?.requests?.["cpu"] !== undefined && resources.requests["memory"] !== undefined ? [] : ["requests no CPU or no memory"]),
    ...(resources?.limits?.["memory"] === undefined ? ["has no limit of memory"] : []),
    ...(/@sha256:[0-9a-f]{64}$|:(?!latest$)[\w][\w.-]*$/.test(image) ? [] : [`runs ${image}, which may be another tomorrow`]),
    ...(isRun || (startupProbe !== undefined && readinessProbe !== undefined) ? [] : ["is sent calls before it is ready"]),
    // Reports of approvals outlive their pods.
    ...volumeMounts.filter(({ mountPath, readOnly }) => readOnly !== true && mountPath !== "/tmp" && !(isRun && mountPath === "/evidence")).map(({ mountPath }) => `may write to ${mountPath}`),
  ];
}
