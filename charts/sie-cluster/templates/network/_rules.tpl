{{/* Pods of a component of this release. Takes (list $ component). */}}
{{- define "sie.peer" -}}
- podSelector:
    matchLabels:
{{ include "sie.selectorLabels" . | indent 6 }}
{{- end -}}

{{/* Who scrapes. */}}
{{- define "sie.scrapers" -}}
- namespaceSelector:
{{- if .Values.networkPolicy.monitoringNamespaceLabels }}
    matchLabels:
{{ toYaml .Values.networkPolicy.monitoringNamespaceLabels | indent 6 }}
{{- else }} {}
{{- end }}
{{- end -}}

{{/* Names, the broker and the registry: what gateways and workers need. */}}
{{- define "sie.egressDNS" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "sie.egressNats" -}}
{{- if .Values.nats.install -}}
- to:
{{ include "sie.peer" (list . "nats") | indent 4 }}
  ports:
    - {port: 4222}
{{- else -}}
- ports:
    - {port: {{ .Values.nats.url | regexFind "[0-9]+$" | default "4222" }}}
{{- end -}}
{{- end -}}

{{- define "sie.egressConfig" -}}
- to:
{{ include "sie.peer" (list . "config") | indent 4 }}
  ports:
    - {port: {{ .Values.config.service.grpcPort }}}
{{- end -}}
