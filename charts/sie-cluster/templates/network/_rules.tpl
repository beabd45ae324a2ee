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

{{/* Buckets and the hub, but nothing inside, and the cloud's metadata server, which gives
     credentials for buckets. */}}
{{- define "sie.egressBuckets" -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10]
  ports:
    - {port: 443}
- to:
    - ipBlock: {cidr: 169.254.169.252/32}
    - ipBlock: {cidr: 169.254.169.254/32}
  ports:
    - {port: 80}
    - {port: 988}
{{- end -}}

{{/* The collector of traces, on the port of its address. */}}
{{- define "sie.egressTracing" -}}
{{- with .Values.tracing.endpoint -}}
{{- $standard := ternary "443" "80" (hasPrefix "https:" .) -}}
- ports:
    - {port: {{ (urlParse .).host | regexFind ":[0-9]+$" | trimPrefix ":" | default $standard }}}
  {{- with $.Values.networkPolicy.tracingTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "sie.egressConfig" -}}
- to:
{{ include "sie.peer" (list . "config") | indent 4 }}
  ports:
    - {port: {{ .Values.config.service.grpcPort }}}
{{- end -}}
