{{/* What a new registry starts with, as files: `<folder>__<file>` and its content. */}}
{{- define "sie.definitions" -}}
{{- $files := dict -}}
{{- $bundles := deepCopy .Values.config.bundles -}}
{{- /* Who names no machine gets one that has a pool of the bundle: best one that is always there. */}}
{{- $preferred := dict -}}
{{- range $pool := include "sie.pools" . | fromYamlArray -}}
{{- $machine := get $.Values.machineProfiles $pool.machineProfile -}}
{{- $profile := dict "machine_profile_id" $pool.machineProfile "gpu_type" (default "" $machine.gpuType) "machine_type" (default "" $machine.machineType) "spot" (default false $machine.spot) -}}
{{- $_ := set $files (printf "machine_profiles__%s.yaml" $pool.machineProfile) (toYaml $profile) -}}
{{- if not (hasKey $bundles $pool.bundle) -}}
{{- $_ := set $bundles $pool.bundle dict -}}
{{- end -}}
{{- $other := get $preferred $pool.bundle -}}
{{- if or (not $other) (gt (int $pool.minReplicas) (int (default dict $other).minReplicas)) -}}
{{- $_ := set $preferred $pool.bundle $pool -}}
{{- end -}}
{{- end -}}
{{- if not $files -}}
{{- $_ := set $files "machine_profiles__none" "" -}}
{{- end -}}
{{- range $name, $bundle := $bundles -}}
{{- $definition := merge (dict "bundle_id" $name) (default dict $bundle) -}}
{{- with get $preferred $name -}}
{{- $definition = merge $definition (dict "machine_profile" .machineProfile) -}}
{{- end -}}
{{- $_ := set $files (printf "bundles__%s.yaml" $name) (toYaml $definition) -}}
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
