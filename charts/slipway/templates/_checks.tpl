{{/* Whether a toggle such as support.redis.enabled, and all above it, is on. Takes (list .Values "toggle"): "true" or "". */}}
{{- define "slipway.isOn" -}}
{{- $here := index . 0 }}{{ $on := true -}}
{{- range $step := splitList "." (index . 1) -}}
  {{- if and (kindIs "map" $here) (eq ($here.enabled | toString) "false") }}{{ $on = false }}{{ end -}}
  {{- $here = kindIs "map" $here | ternary (get ($here | default dict) $step) "" -}}
{{- end -}}
{{- if and $on (eq (toString $here) "true") }}true{{ end -}}
{{- end -}}

{{/* A value by its path. Takes (list .Values "path"). JSON. */}}
{{- define "slipway.value" -}}
{{- $here := index . 0 -}}
{{- range $step := splitList "." (index . 1) }}{{ $here = kindIs "map" $here | ternary (get ($here | default dict) $step) "" }}{{ end -}}
{{- toJson $here -}}
{{- end -}}
