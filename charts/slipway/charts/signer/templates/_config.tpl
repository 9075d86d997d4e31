{{/* The signer's file. Nothing in it is secret. */}}
{{- define "signer.config" -}}
{{- $v := .values -}}
{{- $file := dict
  "logLevel" $v.logLevel
  "listen" ":3000"
  "adminListen" ":3001"
  "drainTimeout" (printf "%vs" $v.drain)
  "access" (include "signer.access" . | fromJson) -}}
{{- if $v.mnemonic.enabled }}{{ $_ := set $file "keys" (dict "derivationPath" $v.mnemonic.derivationPath "accounts" $v.mnemonic.accounts) }}{{ end -}}
{{- with $v.mnemonic.address }}{{ $_ := set $file "keys" (merge (dict "firstAddress" .) ($file.keys | default dict)) }}{{ end -}}
{{- with include "common.serverTLS" . | fromJson }}{{ $_ := set $file "tls" . }}{{ end -}}
{{- include "common.merge" (list $file $v.config) | fromJson | toYaml -}}
{{- end -}}

{{/* Who is let in. JSON. */}}
{{- define "signer.access" -}}
{{- $v := .values }}{{ $access := dict "apiKeys" $v.apiKeys -}}
{{- if and $v.networks.cidrs (not (dig "access" "networks" "" $v.config)) -}}
  {{- if include "common.passthrough" . -}}
    {{- fail "signer.networks.cidrs: must be [], because with signer.passthrough.enabled everybody outside comes from a private address, and nothing in the connection says so" -}}
  {{- end -}}
  {{- if not $v.networks.evenIfExposed -}}
    {{- with include "signer.strangers" . -}}
      {{- fail (printf "signer.networks.cidrs: lets in whoever calls from a private address, and %s, so that strangers may have one; set it to [] and give callers keys, or set signer.networks.evenIfExposed if you know that none does" .) -}}
    {{- end -}}
  {{- end -}}
  {{- $cidrs := $v.networks.cidrs -}}
  {{- /* Where Istio's sidecar connects from, which has let in declared callers only. */ -}}
  {{- if eq .global.mesh.type "istio" }}{{ $cidrs = append $cidrs "127.0.0.6/32" }}{{ end -}}
  {{- $_ := set $access "networks" (list (dict "name" "cluster" "cidrs" $cidrs "tenant" "default" "roles" $v.networks.roles)) -}}
  {{- /* The name in common.url; the signer knows those of cluster.local by itself. */ -}}
  {{- $_ := set $access "hosts" (list (printf "%s.%s.svc.%s" .name .namespace .global.clusterDomain)) -}}
{{- end -}}
{{- toJson $access -}}
{{- end -}}

{{/* Why others than pods of the release may reach it, or nothing. */}}
{{- define "signer.strangers" -}}
{{- if .values.expose.enabled -}}
signer.expose.enabled is true
{{- else if ne .values.service.type "ClusterIP" -}}
signer.service.type is {{ .values.service.type }}
{{- else if and .global.tenant.enabled (not .global.networkPolicy.enabled) -}}
global.networkPolicy.enabled is false in a cluster with other tenants
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the mnemonic. */}}
{{- define "signer.mnemonicSecret" -}}
{{- with .values.mnemonic -}}
{{- if and .value (not $.global.allowInlineSecrets) -}}
{{- fail "signer.mnemonic.value: global.allowInlineSecrets is false; put the phrase into a Secret and name it in signer.mnemonic.existingSecret" -}}
{{- end -}}
{{- if .existingSecret }}{{ .existingSecret }}{{ else if .value }}signer-mnemonic-inline{{ else }}signer-mnemonic{{ end -}}
{{- end -}}
{{- end -}}
