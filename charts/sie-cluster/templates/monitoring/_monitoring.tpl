{{/* Labels by which a Prometheus takes an object up: those that values name, and those that
     kube-prometheus-stack asks for by default. Takes (list $ labels). */}}
{{- define "sie.monitorLabels" -}}
{{- $root := index . 0 -}}
{{- $labels := deepCopy (index . 1) -}}
{{- if (index $root.Values "kube-prometheus-stack").install -}}
{{- $labels = merge $labels (dict "release" $root.Release.Name) -}}
{{- end -}}
{{- if $labels }}{{ toYaml $labels }}{{ end -}}
{{- end -}}

{{/* A file with this release's series in place of `@gateway`, `@config` and `@worker`, and its
     objectives in place of `@availability`, `@latency` and `@bound`. Takes (list $ path). */}}
{{- define "sie.promFile" -}}
{{- $root := index . 0 -}}
{{- $text := $root.Files.Get (index . 1) -}}
{{- range $component := list "gateway" "config" "worker" -}}
{{- $text = $text | replace (printf "@%s" $component) (include "sie.series" (list $root $component)) -}}
{{- end -}}
{{- $slo := $root.Values.alertRules.slo -}}
{{- $text = $text | replace "@availability" (toString $slo.availability) -}}
{{- $text = $text | replace "@latency" (toString $slo.latency) -}}
{{- $text | replace "@bound" (toString (float64 $slo.latencySeconds) | include "sie.bucket") -}}
{{- end -}}

{{/* A bucket's bound as clients write it: 1 -> 1.0, 0.25 -> 0.25. */}}
{{- define "sie.bucket" -}}
{{- if contains "." . }}{{ . }}{{ else }}{{ . }}.0{{ end -}}
{{- end -}}
