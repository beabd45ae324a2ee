{{/* Annotations of an ingress; limits are the gateway's own. Takes (list $ protocol). */}}
{{- define "sie.ingressAnnotations" -}}
{{- $root := index . 0 -}}
{{- $annotations := deepCopy $root.Values.ingress.annotations -}}
{{- if eq $root.Values.ingress.className "nginx" -}}
{{- $timeout := toString $root.Values.gateway.maxRequestTimeoutSeconds -}}
{{- $own := dict
  "nginx.ingress.kubernetes.io/backend-protocol" (print (index . 1) (ternary "S" "" (not (empty $root.Values.gateway.tls.secretName))))
  "nginx.ingress.kubernetes.io/proxy-body-size" (toString (max (int64 $root.Values.gateway.maxRequestBytes) (int64 $root.Values.gateway.batches.maxFileBytes)))
  "nginx.ingress.kubernetes.io/proxy-read-timeout" $timeout
  "nginx.ingress.kubernetes.io/proxy-send-timeout" $timeout -}}
{{- $annotations = merge $annotations $own -}}
{{- end -}}
{{- toYaml $annotations -}}
{{- end -}}

{{/* Takes (list $ host). */}}
{{- define "sie.ingressTLS" -}}
{{- $tls := (index . 0).Values.ingress.tls -}}
{{- if $tls.enabled -}}
tls:
  - hosts: [{{ index . 1 | quote }}]
    secretName: {{ $tls.secretName }}
{{- end -}}
{{- end -}}
