{{- define "memseal.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Of the dict {root, component}: what a selector may hold. */}}
{{- define "memseal.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Of pods. No release is named: a candidate that was promoted has the same pods under the name of what serves. */}}
{{- define "memseal.podLabels" -}}
{{ include "memseal.selector" . }}
app.kubernetes.io/part-of: memseal
{{- end }}

{{- define "memseal.labels" -}}
{{ include "memseal.podLabels" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{/* Of the dict {root, image, tag}: a digest counts before a tag, an own tag before that of all. */}}
{{- define "memseal.image" -}}
{{- $repository := .image.repository }}
{{- with .root.Values.image.registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end }}
{{- if and .image.digest (not .tag) }}{{ printf "%s@%s" $repository .image.digest }}
{{- else }}{{ printf "%s:%s" $repository (.tag | default .image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion) }}{{ end }}
{{- end }}

{{/* What every pod has. fsGroup lets the process read its mounted secrets, which are root's. */}}
{{- define "memseal.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "memseal.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Of a map of variables. */}}
{{- define "memseal.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "memseal.tlsEnv" -}}
- name: MEMSEAL_TLS_CERT_FILE
  value: /etc/memseal/tls/tls.crt
- name: MEMSEAL_TLS_KEY_FILE
  value: /etc/memseal/tls/tls.key
- name: MEMSEAL_TLS_CA_FILE
  value: /etc/memseal/tls/ca.crt
{{- end }}

{{/* Of a Secret's name: mounted as a folder, not file by file, so that renewed certificates arrive. */}}
{{- define "memseal.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}

{{- define "memseal.tracingEnv" -}}
{{- with .Values.tracing.otlpUrl }}
- name: MEMSEAL_OTLP_URL
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "memseal.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A node that has a GPU of the products that are wanted, and where else the reranker's values say. */}}
{{- define "memseal.gpuNode" -}}
{{- with .Values.reranker.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
tolerations:
  - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  {{- with .Values.reranker.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions:
            - key: nvidia.com/gpu.product
              operator: In
              values:
                {{- toYaml .Values.reranker.gpu.products | nindent 16 }}
{{- end }}

{{/* Of the dict {root, component}: replicas on nodes of their own while there are enough. */}}
{{- define "memseal.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "memseal.selector" . | nindent 8 }}
{{- end }}

{{/*
A private service answers its port from when it is ready until it ends. gRPC probes of the kubelet speak no TLS and show no certificate,
and a gateway watches the health that this service tells itself (docs/operations.md, Several indexers). Of the dict {seconds}.
*/}}
{{- define "memseal.privateProbes" -}}
startupProbe:
  tcpSocket:
    port: grpc
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: {{ div (add .seconds 4) 5 }}
readinessProbe:
  tcpSocket:
    port: grpc
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* Name of the indexers of a release: under Argo each has its own, so that a gateway calls none of another. Of the dict {root, tag}. */}}
{{- define "memseal.indexerName" -}}
{{- $full := include "memseal.fullname" .root }}
{{- if .root.Values.argo.enabled }}{{ printf "%s-indexer-%s" $full (.tag | default .root.Values.image.tag | default .root.Chart.AppVersion | sha256sum | trunc 8) }}
{{- else }}{{ printf "%s-indexer" $full }}{{ end }}
{{- end }}

{{- define "memseal.candidateTag" -}}
{{- if .Values.argo.enabled }}{{ .Values.argo.candidateTag }}{{ end }}
{{- end }}

{{- define "memseal.databaseCaVolume" -}}
{{- with .Values.database.caConfigMap }}
- name: database-ca
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}

{{- define "memseal.databaseCaMount" -}}
{{- if .Values.database.caConfigMap }}
- name: database-ca
  mountPath: /etc/memseal/database
  readOnly: true
{{- end }}
{{- end }}

{{/* Paths of the keys of a mounted Secret, with commas between. Of the dict {folder, keys}. */}}
{{- define "memseal.files" -}}
{{- range $i, $key := .keys }}{{ if $i }},{{ end }}{{ $.folder }}/{{ $key }}{{ end }}
{{- end }}
