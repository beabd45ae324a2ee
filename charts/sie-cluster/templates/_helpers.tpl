{{/* The beginning of every object's name. */}}
{{- define "sie.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a component's pods are chosen by. Takes (list $ component). */}}
{{- define "sie.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of a component's objects. Takes (list $ component). */}}
{{- define "sie.labels" -}}
{{- $root := index . 0 -}}
{{ include "sie.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: sie
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* An image of ours. Takes (dict "root" $ "repository" "tag" "digest" "suffix"). */}}
{{- define "sie.image" -}}
{{- $base := printf "%s/%s" .root.Values.image.registry .repository -}}
{{- if .digest -}}
{{- printf "%s@%s" $base .digest -}}
{{- else -}}
{{- printf "%s:%s%s" $base (default .root.Chart.AppVersion .tag) (default "" .suffix) -}}
{{- end -}}
{{- end -}}

{{- define "sie.gatewayImage" -}}
{{- include "sie.image" (dict "root" . "repository" .Values.gateway.image.repository "tag" .Values.gateway.image.tag "digest" .Values.gateway.image.digest) -}}
{{- end -}}

{{- define "sie.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Security of a pod and of its containers: no root, no rights, nothing to write to. */}}
{{- define "sie.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sie.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Spread of a component, unless values say otherwise.
     Takes (dict "labels" text "constraints" list "zones" bool). */}}
{{- define "sie.topologySpread" -}}
topologySpreadConstraints:
{{- if .constraints }}
{{ toYaml .constraints | indent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
{{ .labels | indent 8 }}
{{- if .zones }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
{{ .labels | indent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Three probes with a meaning of their own, on the port named `http`:
     startup: it has begun to answer; liveness: it makes progress, else restart it;
     readiness: it can serve now, else send nothing.
     Where the port wants certificates that a kubelet has none of, they see whether it is open.
     Takes (dict "seconds" to start "scheme" HTTP "mutual" bool). */}}
{{- define "sie.probes" -}}
{{- if .mutual -}}
startupProbe:
  tcpSocket:
    port: http
  periodSeconds: 5
  failureThreshold: {{ max 1 (div .seconds 5) }}
livenessProbe:
  tcpSocket:
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  tcpSocket:
    port: http
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- else -}}
startupProbe:
  httpGet:
    path: /healthz
    port: http
    scheme: {{ default "HTTP" .scheme }}
  periodSeconds: 5
  failureThreshold: {{ max 1 (div .seconds 5) }}
livenessProbe:
  httpGet:
    path: /healthz
    port: http
    scheme: {{ default "HTTP" .scheme }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: http
    scheme: {{ default "HTTP" .scheme }}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}
{{- end -}}

{{/* The broker's address for one of its users, with the password taken from a variable that
     stands before it. Takes (list $ user). */}}
{{- define "sie.natsEnv" -}}
{{- $root := index . 0 -}}
{{- $user := index . 1 -}}
{{- if and (not $root.Values.nats.install) $root.Values.nats.urlSecretName -}}
- name: SIE_NATS_URL
  valueFrom:
    secretKeyRef:
      name: {{ $root.Values.nats.urlSecretName }}
      key: url
{{- else if not $root.Values.nats.install -}}
- name: SIE_NATS_URL
  value: {{ required "nats.install is false, so nats.url must name the broker to use, or nats.urlSecretName a secret with its address" $root.Values.nats.url | quote }}
{{- else if $root.Values.nats.auth.enabled -}}
- name: SIE_NATS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "sie.natsSecret" $root }}
      key: {{ $user }}
- name: SIE_NATS_URL
  value: nats://{{ $user }}:$(SIE_NATS_PASSWORD)@{{ include "sie.fullname" $root }}-nats:4222
{{- else -}}
- name: SIE_NATS_URL
  value: nats://{{ include "sie.fullname" $root }}-nats:4222
{{- end -}}
{{- end -}}

{{- define "sie.natsSecret" -}}
{{- default (printf "%s-nats" (include "sie.fullname" .)) .Values.nats.auth.existingSecret -}}
{{- end -}}

{{/* What gateways and workers share. */}}
{{- define "sie.commonEnv" -}}
- name: SIE_HOST
  value: 0.0.0.0
- name: SIE_LOG_LEVEL
  value: {{ .Values.logging.level }}
- name: SIE_LOG_JSON
  value: {{ .Values.logging.json | quote }}
{{- end -}}

{{/* Where what is too large for the broker's messages is kept, and files of batches. */}}
{{- define "sie.payloadStoreEnv" -}}
- name: SIE_PAYLOAD_STORE
  value: {{ ternary .Values.payloadStore.url "jetstream" .Values.payloadStore.enabled }}
{{- end -}}

{{- define "sie.fileStoreEnv" -}}
- name: SIE_FILE_STORE
  value: {{ ternary .Values.fileStore.url "jetstream" .Values.fileStore.enabled }}
{{- end -}}

{{/* Where traces of requests go; the sampler and the headers are read by OpenTelemetry itself. */}}
{{- define "sie.tracingEnv" -}}
{{- $tracing := .Values.tracing -}}
{{- if $tracing.endpoint -}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $tracing.endpoint }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $tracing.samplingRatio | quote }}
{{- with $tracing.headersSecretName }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $tracing.headersSecretKey }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "sie.configAddress" -}}
{{- printf "%s-config:%v" (include "sie.fullname" .) .Values.config.service.grpcPort -}}
{{- end -}}

{{- define "sie.hfTokenSecret" -}}
{{- if .Values.hfToken.create -}}
{{- include "sie.fullname" . }}-hf-token
{{- else -}}
{{- .Values.hfToken.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* Selector, tolerations and affinity of a component without a pool. */}}
{{- define "sie.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end -}}

{{/* Who may call the gateway, and by what scheme. */}}
{{- define "sie.authEnv" -}}
{{- $auth := .Values.gateway.auth -}}
{{- if eq $auth.mode "static" }}
- name: SIE_AUTH_MODE
  value: static
{{- with $auth.tokenSecretName }}
- name: SIE_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $auth.tokenSecretKey }}
- name: SIE_ADMIN_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $auth.adminTokenSecretKey }}
      optional: true
{{- end }}
{{- if $auth.tokenFileSecretName }}
- name: SIE_AUTH_FILE
  value: /etc/sie/auth/{{ $auth.tokenFileSecretKey }}
{{- end }}
{{- end }}
- name: SIE_AUTH_EXEMPT_OPERATIONAL
  value: {{ $auth.exemptOperational | quote }}
{{- with $auth.metricsTokenSecretName }}
- name: SIE_METRICS_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $auth.metricsTokenSecretKey }}
{{- end }}
{{- if .Values.gateway.tls.secretName }}
- name: SIE_TLS_CERT
  value: /etc/sie/tls/tls.crt
- name: SIE_TLS_KEY
  value: /etc/sie/tls/tls.key
{{- end }}
{{- if .Values.gateway.tls.clientCaSecretName }}
- name: SIE_TLS_CLIENT_CA
  value: /etc/sie/client-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "sie.gatewayScheme" -}}
{{- ternary "https" "http" (not (empty .Values.gateway.tls.secretName)) -}}
{{- end -}}
