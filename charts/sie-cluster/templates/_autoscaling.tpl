{{/* By what the gateway is scaled: none, cpu or requests; never by two. */}}
{{- define "sie.gatewayScaling" -}}
{{- $mode := .Values.gateway.autoscaling.mode -}}
{{- if eq $mode "auto" -}}
{{- ternary "requests" "none" .Values.autoscaling.enabled -}}
{{- else -}}
{{- $mode -}}
{{- end -}}
{{- end -}}

{{- define "sie.prometheusAddress" -}}
{{- if .Values.autoscaling.prometheusAddress -}}
{{- .Values.autoscaling.prometheusAddress -}}
{{- else if (index .Values "kube-prometheus-stack").install -}}
http://prometheus-operated.{{ .Release.Namespace }}.svc:9090
{{- else -}}
http://prometheus-operated.monitoring.svc:9090
{{- end -}}
{{- end -}}

{{/* KEDA installed by this very release brings its definitions only while the release is being
     installed, and Helm refuses objects of kinds that it does not know beforehand. So at the
     first installation ScaledObjects come as a hook after it, marked as this release's own:
     the next upgrade, which knows the kind, takes them over. */}}
{{- define "sie.scaledObjectAnnotations" -}}
{{- if and .Values.keda.install (not (.Capabilities.APIVersions.Has "keda.sh/v1alpha1")) -}}
annotations:
  helm.sh/hook: post-install,post-upgrade
  meta.helm.sh/release-name: {{ .Release.Name }}
  meta.helm.sh/release-namespace: {{ .Release.Namespace }}
{{- end -}}
{{- end -}}

{{/* Which series are this release's: those that its own monitors scrape.
     Takes (list $ component). */}}
{{- define "sie.series" -}}
{{- $root := index . 0 -}}
job="{{ include "sie.fullname" $root }}-{{ index . 1 }}",namespace="{{ $root.Release.Namespace }}"
{{- end -}}

{{/* A query of KEDA. A lane that was never wanted has no series; that is 0, but only while a
     gateway is scraped at all: otherwise nothing is known, and KEDA falls back. That brings workers
     to every pool, so a scrape that fails, or a gateway that restarts, is given two minutes. And only
     once a gateway was scraped twice: a Prometheus that comes back reads one gateway after the other,
     and the first knows nothing of what the next was asked.
     Takes (list $ query). */}}
{{- define "sie.query" -}}
{{- $root := index . 0 -}}
{{- $up := printf "up{%s}" (include "sie.series" (list $root "gateway")) -}}
{{ index . 1 }} or 0 * max(max_over_time({{ $up }}[2m]) == 1 and sum_over_time({{ $up }}[5m]) >= 2)
{{- end -}}

{{/* A trigger. Takes (dict "root" $ "name" "query" "threshold" "activation"). */}}
{{- define "sie.trigger" -}}
- type: prometheus
  name: {{ .name }}
  metricType: AverageValue
  metadata:
    serverAddress: {{ include "sie.prometheusAddress" .root }}
    query: {{ include "sie.query" (list .root .query) | quote }}
    threshold: {{ .threshold | quote }}
    activationThreshold: {{ default 0 .activation | quote }}
    ignoreNullValues: "false"
{{- end -}}
