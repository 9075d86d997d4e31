{{/* The signer's file. Nothing in it is secret. */}}
{{- define "signer.config" -}}
{{- $v := .values -}}
{{- $file := dict
  "logLevel" $v.logLevel
  "listen" ":3000"
  "adminListen" ":3001"
  "drainTimeout" (printf "%vs" $v.drain)
  "access" (dict "apiKeys" $v.apiKeys) -}}
{{- if $v.mnemonic.enabled }}{{ $_ := set $file "keys" (dict "derivationPath" $v.mnemonic.derivationPath "accounts" $v.mnemonic.accounts) }}{{ end -}}
{{- include "common.merge" (list $file $v.config) | fromJson | toYaml -}}
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
