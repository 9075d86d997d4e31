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

{{/* What the containers of the prepull's pods have in common. Takes $c. */}}
{{- define "slipway.prepullContainer" -}}
{{ include "common.containerSecurity" . }}
resources:
  requests: {cpu: 5m, memory: 24Mi}
  limits: {memory: 64Mi}
volumeMounts:
  - {name: program, mountPath: /slipway}
{{- end -}}

{{/* Images of what is switched on. Takes (dict "here" section). JSON. */}}
{{- define "slipway.images" -}}
{{- $out := list -}}
{{- if ne (toString .here.enabled) "false" -}}
  {{- if and .here.repository (kindIs "string" .here.repository) }}{{ $out = append $out .here }}{{ end -}}
  {{- range $section := .here -}}
    {{- if kindIs "map" $section }}{{ $out = concat $out (include "slipway.images" (dict "here" $section) | fromJsonArray) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{/* The principal of a component in a mesh. Takes (list $c .Values "name" $facts). */}}
{{- define "slipway.principal" -}}
{{- $c := index . 0 }}{{ $name := index . 2 -}}
{{- $section := trimSuffix ".enabled" (index . 3).toggle -}}
{{- $section = get (dict "besu-node-validator" "network.validator" "besu-node-rpc" "network.rpc" "signer-backup" "signer") $name | default $section -}}
{{- if eq $name "signer-backup" }}{{ $name = "signer" }}{{ end -}}
{{- $account := include "slipway.value" (list (index . 1) (printf "%s.serviceAccount.name" $section)) | trimAll `"` -}}
{{- if has $account (list "" "null") }}{{ $account = $name }}{{ end -}}
{{ $c.global.mesh.trustDomain }}/ns/{{ $c.namespace }}/sa/{{ $account }}
{{- end -}}
