{{/* A dashboard of Grafana from its short form in files/dashboards: panels two in a row, each
     with a title, a unit and queries by legend. Takes (list $ name dashboard). */}}
{{- define "sie.dashboard" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $short := index . 2 -}}
{{- $source := dict "type" "prometheus" "uid" "${datasource}" -}}
{{- $panels := list -}}
{{- range $i, $panel := $short.panels -}}
{{- $targets := list -}}
{{- range $legend, $query := $panel.queries -}}
{{- $targets = append $targets (dict "refId" (printf "q%d" (len $targets)) "datasource" $source "expr" $query "legendFormat" $legend) -}}
{{- end -}}
{{- $position := dict "x" (mul 12 (mod $i 2)) "y" (mul 8 (div $i 2)) "w" 12 "h" 8 -}}
{{- $panels = append $panels (dict "id" (add1 $i) "type" (default "timeseries" $panel.type) "title" $panel.title "description" (default "" $panel.description) "datasource" $source "gridPos" $position "fieldConfig" (dict "defaults" (dict "unit" (default "short" $panel.unit) "min" 0) "overrides" list) "targets" $targets) -}}
{{- end -}}
{{- $variable := dict "name" "datasource" "type" "datasource" "query" "prometheus" "hide" 0 -}}
{{- dict "uid" (printf "%s-%s" (include "sie.fullname" $root) $name) "title" $short.title "tags" (list "sie") "schemaVersion" 39 "editable" true "refresh" "30s" "time" (dict "from" "now-3h" "to" "now") "templating" (dict "list" (list $variable)) "panels" $panels | toPrettyJson -}}
{{- end -}}
