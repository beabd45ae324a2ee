{{/* Enabled pools as a list, each with every key that templates read. */}}
{{- define "sie.pools" -}}
{{- $root := . -}}
{{- $common := .Values.workers.common -}}
{{- $taken := dict -}}
{{- range $name, $pool := .Values.workers.pools }}
{{- if $pool.enabled }}
{{- $profile := default $name $pool.machineProfile -}}
{{- $machine := get $root.Values.machineProfiles $profile -}}
{{- if not (hasKey $root.Values.machineProfiles $profile) -}}
{{- fail (printf "workers.pools.%s.machineProfile is %q, and machineProfiles has no such entry" $name $profile) -}}
{{- end -}}
{{- $bundle := default $common.bundle $pool.bundle -}}
{{- $sharedPool := default $common.pool $pool.pool -}}
{{- $lane := printf "%s of bundle %s" $profile $bundle -}}
{{- if hasKey $taken $lane -}}
{{- fail (printf "workers.pools.%s and workers.pools.%s are both machine profile %s, so that both would be scaled by the same demand; give one another machine profile or another bundle" (get $taken $lane) $name $lane) -}}
{{- end -}}
{{- $_ := set $taken $lane $name -}}
{{- $min := int (default 0 $pool.minReplicas) -}}
{{- $max := int (default 1 $pool.maxReplicas) -}}
{{- if gt $min $max -}}
{{- fail (printf "workers.pools.%s.minReplicas is %d, above its maxReplicas of %d" $name $min $max) -}}
{{- end -}}
{{- $fallback := int (include "sie.orMinusOne" $pool.fallbackReplicas) -}}
{{- $gpu := default dict $pool.gpu -}}
{{- $object := printf "%s-worker-%s" (include "sie.fullname" $root) $name -}}
{{- if gt (len $object) 52 -}}
{{- fail (printf "%s is longer than the 52 characters of a StatefulSet's name; shorten fullnameOverride or the name of the pool %s" $object $name) -}}
{{- end }}
- name: {{ $name }}
  object: {{ $object }}
  machineProfile: {{ $profile }}
  gpuType: {{ coalesce $pool.gpuType $machine.gpuType "" | quote }}
  spot: {{ default false $machine.spot }}
  bundle: {{ $bundle }}
  pool: {{ $sharedPool | quote }}
  platform: {{ default $common.platform $pool.platform }}
  imageDigest: {{ default "" $pool.imageDigest | quote }}
  preloadModels: {{ coalesce $pool.preloadModels $common.preloadModels list | toJson }}
  minReplicas: {{ $min }}
  maxReplicas: {{ $max }}
  fallbackReplicas: {{ min $max (ternary $fallback (int $root.Values.autoscaling.fallbackReplicas) (ge $fallback 0)) }}
  runtimeClassName: {{ coalesce $pool.runtimeClassName $common.runtimeClassName "" | quote }}
  nodeSelector: {{ default dict $pool.nodeSelector | toJson }}
  gpu:
    count: {{ default 0 $gpu.count }}
    product: {{ default "" $gpu.product | quote }}
    resourceName: {{ default "nvidia.com/gpu" $gpu.resourceName }}
    migPartitionSize: {{ default "" $gpu.migPartitionSize | quote }}
    timeSharingClients: {{ default 0 $gpu.timeSharingClients }}
  resources: {{ default dict $pool.resources | toJson }}
  tolerations: {{ default list $pool.tolerations | toJson }}
  affinity: {{ default dict $pool.affinity | toJson }}
  topologySpreadConstraints: {{ default list $pool.topologySpreadConstraints | toJson }}
  podAnnotations: {{ merge (dict) (default dict $pool.podAnnotations) $common.podAnnotations | toJson }}
  extraEnv: {{ concat $common.extraEnv (default list $pool.extraEnv) | toJson }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A number that may be missing; 0 is a number. */}}
{{- define "sie.orMinusOne" -}}
{{- if kindIs "invalid" . }}-1{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- define "sie.workerImage" -}}
{{- $common := .root.Values.workers.common -}}
{{- include "sie.image" (dict "root" .root "repository" $common.image.repository "tag" $common.image.tag "suffix" (printf "-%s" .pool.platform) "digest" .pool.imageDigest) -}}
{{- end -}}

{{- define "sie.poolLabels" -}}
sie.superlinked.com/pool: {{ .name }}
sie.superlinked.com/machine-profile: {{ .machineProfile }}
sie.superlinked.com/bundle: {{ .bundle }}
{{- with .gpuType }}
sie.superlinked.com/gpu-type: {{ . }}
{{- end }}
{{- with .gpu.product }}
sie.superlinked.com/gpu-product: {{ . }}
{{- end }}
{{- end -}}

{{/* Where a pool's pods may go: its own selector, spot nodes, GPUs that are parted or shared. */}}
{{- define "sie.poolNodeSelector" -}}
{{- $selector := deepCopy .nodeSelector -}}
{{- if .spot -}}
{{- $_ := set $selector "cloud.google.com/gke-spot" "true" -}}
{{- end -}}
{{- with .gpu.migPartitionSize -}}
{{- $_ := set $selector "cloud.google.com/gke-gpu-partition-size" . -}}
{{- end -}}
{{- if gt (int .gpu.timeSharingClients) 0 -}}
{{- $_ := set $selector "cloud.google.com/gke-gpu-sharing-strategy" "time-sharing" -}}
{{- $_ := set $selector "cloud.google.com/gke-max-shared-clients-per-gpu" (toString .gpu.timeSharingClients) -}}
{{- end -}}
{{- toJson $selector -}}
{{- end -}}

{{- define "sie.poolTolerations" -}}
{{- $tolerations := .tolerations -}}
{{- if gt (int .gpu.count) 0 -}}
{{- $tolerations = append $tolerations (dict "key" "nvidia.com/gpu" "operator" "Exists" "effect" "NoSchedule") -}}
{{- end -}}
{{- if .spot -}}
{{- $tolerations = append $tolerations (dict "key" "cloud.google.com/gke-spot" "operator" "Equal" "value" "true" "effect" "NoSchedule") -}}
{{- end -}}
{{- toJson $tolerations -}}
{{- end -}}

{{/* Resources of a pool's container; GPUs are limits and requests alike. */}}
{{- define "sie.poolResources" -}}
{{- $resources := deepCopy .resources -}}
{{- if gt (int .gpu.count) 0 -}}
{{- $gpus := dict .gpu.resourceName (toString .gpu.count) -}}
{{- $_ := set $resources "requests" (merge (dict) $gpus (default dict $resources.requests)) -}}
{{- $_ := set $resources "limits" (merge (dict) $gpus (default dict $resources.limits)) -}}
{{- end -}}
{{- toJson $resources -}}
{{- end -}}

{{/* Pools that workers are dedicated to. */}}
{{- define "sie.dedicatedPools" -}}
{{- $names := list -}}
{{- range include "sie.pools" . | fromYamlArray -}}
{{- $names = append $names .pool -}}
{{- end -}}
{{- $names | compact | uniq | sortAlpha | join "," -}}
{{- end -}}
