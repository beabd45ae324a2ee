{{/* The broker's configuration. Passwords come from its environment. */}}
{{- define "sie.natsConfig" -}}
{{- $name := printf "%s-nats" (include "sie.fullname" .) -}}
port: 4222
http_port: 8222
server_name: $POD_NAME
# A chunk of work and a chunk of results both fit, with room for headers.
max_payload: 8MB
# Clients are told to go elsewhere while their connections are closed one by one.
lame_duck_duration: 30s
lame_duck_grace_period: 5s

jetstream {
  store_dir: /data
  max_memory_store: {{ include "sie.natsBytes" .Values.nats.jetstream.maxMemory }}
  max_file_store: {{ ternary (include "sie.natsBytes" .Values.nats.jetstream.fileStorage.size) "0" .Values.nats.jetstream.fileStorage.enabled }}
}
{{- if gt (int .Values.nats.replicas) 1 }}

cluster {
  name: {{ $name }}
  port: 6222
  # Clients come by the service's name and keep their credentials.
  no_advertise: true
  routes: [
    {{- range $i := until (int .Values.nats.replicas) }}
    nats://{{ $name }}-{{ $i }}.{{ $name }}-headless:6222
    {{- end }}
  ]
}
{{- end }}
{{- if .Values.nats.auth.enabled }}

{{ .Files.Get "files/nats-users.conf" }}
{{- end }}
{{- end -}}

{{/* A quantity of Kubernetes as the broker writes it: 10Gi -> 10GiB. */}}
{{- define "sie.natsBytes" -}}
{{- if regexMatch "^[0-9]+[KMGT]i$" . -}}{{ . }}B{{- else -}}
{{- fail (printf "nats: %q must be a whole number of Ki, Mi, Gi or Ti" .) -}}
{{- end -}}
{{- end -}}

{{/* A quantity in bytes. */}}
{{- define "sie.bytes" -}}
{{- $powers := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mul (int64 (regexFind "^[0-9]+" .)) (get $powers (regexFind "[KMGT]i$" .)) -}}
{{- end -}}

{{/* Refuses streams that the broker would refuse: each takes its bytes at once. There are those
     of config_service/streams.py, together less than six times the bytes of one, and an eighth of
     that for each pool that is
     created later. */}}
{{- define "sie.validateStreams" -}}
{{- if .Values.nats.install -}}
{{- $isFile := eq (include "sie.streamStorage" .) "file" -}}
{{- $key := ternary "nats.jetstream.fileStorage.size" "nats.jetstream.maxMemory" $isFile -}}
{{- $size := ternary .Values.nats.jetstream.fileStorage.size .Values.nats.jetstream.maxMemory $isFile -}}
{{- $room := include "sie.natsBytes" $size | trimSuffix "B" | include "sie.bytes" | int64 -}}
{{- $each := default (ternary 1073741824 268435456 $isFile) (int64 .Values.config.streams.maxBytes) | int64 -}}
{{- if gt (mul 6 $each) $room -}}
{{- fail (printf "%s is %s, and six streams of %d bytes do not fit into it: raise it, or lower config.streams.maxBytes" $key $size $each) -}}
{{- end -}}
{{- end -}}
{{- end -}}
