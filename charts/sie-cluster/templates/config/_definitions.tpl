{{/* What a new registry starts with, as files: `<folder>__<file>` and its content. */}}
{{- define "sie.definitions" -}}
{{- $files := dict -}}
{{- $bundles := deepCopy .Values.config.bundles -}}
{{- range $pool := include "sie.pools" . | fromYamlArray -}}
{{- $machine := get $.Values.machineProfiles $pool.machineProfile -}}
{{- $profile := dict "machine_profile_id" $pool.machineProfile "gpu_type" (default "" $machine.gpuType) "machine_type" (default "" $machine.machineType) "spot" (default false $machine.spot) -}}
{{- $_ := set $files (printf "machine_profiles__%s.yaml" $pool.machineProfile) (toYaml $profile) -}}
{{- if not (hasKey $bundles $pool.bundle) -}}
{{- $_ := set $bundles $pool.bundle dict -}}
{{- end -}}
{{- end -}}
{{- if not $files -}}
{{- $_ := set $files "machine_profiles__none" "" -}}
{{- end -}}
{{- range $name, $bundle := $bundles -}}
{{- $_ := set $files (printf "bundles__%s.yaml" $name) (toYaml (merge (dict "bundle_id" $name) (default dict $bundle))) -}}
{{- end -}}
{{- range $name, $model := .Values.config.models -}}
{{- $_ := set $files (printf "models__%s.yaml" $name) (toYaml $model) -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{- define "sie.streamStorage" -}}
{{- $disk := ternary "file" "memory" .Values.nats.jetstream.fileStorage.enabled -}}
{{- default $disk .Values.config.streams.storage -}}
{{- end -}}

{{- define "sie.streamReplicas" -}}
{{- $own := ternary (int .Values.nats.replicas) 1 .Values.nats.install -}}
{{- default $own (int .Values.config.streams.replicas) -}}
{{- end -}}
