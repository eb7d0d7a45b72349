/** What the checks look at of an object; the rest is there, and for the schemas. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Labels; annotations?: Labels; namespace?: string };
  spec?: unknown;
  data?: Readonly<Record<string, string>>;
}

export type Labels = Readonly<Record<string, string>>;

export interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  restartPolicy?: string;
  env?: { name: string; value?: string; valueFrom?: unknown }[];
  ports?: { name: string; containerPort: number }[];
  resources?: { requests?: Labels; limits?: Readonly<Record<string, string | number>> };
  securityContext?: { allowPrivilegeEscalation?: boolean; privileged?: boolean; readOnlyRootFilesystem?: boolean; capabilities?: { drop?: string[]; add?: string[] } };
  startupProbe?: Probe;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
}

export interface Probe {
  periodSeconds?: number;
  failureThreshold?: number;
}

export interface PodSpec {
  terminationGracePeriodSeconds?: number;
  automountServiceAccountToken?: boolean;
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  securityContext?: { runAsNonRoot?: boolean; runAsUser?: number; seccompProfile?: { type: string } };
  containers: Container[];
  initContainers?: Container[];
  volumes?: { name: string; hostPath?: unknown; secret?: { secretName: string; defaultMode?: number } }[];
  affinity?: { nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: { matchExpressions: { key: string; operator: string; values: string[] }[] }[] } } };
  tolerations?: { key?: string; operator?: string; effect?: string }[];
}

export interface Pods {
  /** `Deployment memseal-gateway`. */
  of: string;
  labels: Labels;
  spec: PodSpec;
  /** Whether they end by themselves. */
  isRun: boolean;
}

/** The pods that objects make. */
export function podsOf(objects: readonly KubeObject[]): Pods[] {
  return objects.flatMap(({ kind, metadata, spec }): Pods[] => {
    const of = `${kind} ${metadata.name}`;
    if (kind === "Pod") return [{ of, labels: metadata.labels ?? {}, spec: spec as PodSpec, isRun: true }];
    const { template } = (spec ?? {}) as { template?: { metadata: { labels: Labels }; spec: PodSpec } };
    return template === undefined ? [] : [{ of, labels: template.metadata.labels, spec: template.spec, isRun: kind === "Job" }];
  });
}
