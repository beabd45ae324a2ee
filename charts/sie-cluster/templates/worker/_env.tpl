{{/* Variables of a worker. Takes (dict "root" $ "pool" pool). */}}
{{- define "sie.workerEnv" -}}
{{- $common := .root.Values.workers.common -}}
- name: SIE_WORKER_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: SIE_CONFIG_ADDRESS
  value: {{ include "sie.configAddress" .root }}
{{- with .pool.pool }}
- name: SIE_POOL
  value: {{ . | quote }}
{{- end }}
- name: SIE_MACHINE_PROFILE
  value: {{ .pool.machineProfile | quote }}
- name: SIE_BUNDLE
  value: {{ .pool.bundle | quote }}
- name: SIE_PRELOAD_MODELS
  value: {{ join "," .pool.preloadModels | quote }}
- name: SIE_ENGINE
  value: {{ $common.engine }}
- name: SIE_MEMORY_BYTES
  value: {{ $common.memoryBytes | int64 | quote }}
- name: SIE_IDLE_EVICT_S
  value: {{ $common.idleEvictSeconds | quote }}
- name: SIE_MIN_RESIDENCE_S
  value: {{ $common.minResidenceSeconds | quote }}
- name: SIE_LAYOUT
  value: {{ $common.layout }}
- name: SIE_BUSY_OVER_S
  value: {{ $common.busyOverSeconds | quote }}
- name: SIE_CACHE_DIR
  value: /var/cache/sie
- name: SIE_STATE_DIR
  value: /var/lib/sie
- name: SIE_WORKER_HTTP_PORT
  value: {{ $common.port | quote }}
- name: HF_ENDPOINT
  value: {{ $common.hub.endpoint }}
- name: HF_HUB_OFFLINE
  value: {{ $common.hub.offline | quote }}
{{- with include "sie.hfTokenSecret" .root }}
- name: HF_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: HF_TOKEN
{{- end }}
{{- if $common.clusterCache.enabled }}
- name: SIE_CLUSTER_CACHE
  value: {{ $common.clusterCache.url }}
{{- end }}
{{ include "sie.payloadStoreEnv" .root }}
{{- with include "sie.tracingEnv" .root }}
{{ . }}
{{- end }}
{{- with .pool.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
