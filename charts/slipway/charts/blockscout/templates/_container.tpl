{{/* What the API's container and the migration before it have in common. Takes $c. */}}
{{- define "blockscout.container" -}}
{{- $c := . }}{{ $gateway := include "common.url" (list $c "gateway.http") -}}
{{ include "common.image" (dict "c" $c "image" $c.values.image) }}
env:
  {{- include "common.postgresql.env" $c | nindent 2 }}
  {{- include "common.postgresql.urlEnv" (list $c "DATABASE_URL") | nindent 2 }}
  - {name: ECTO_USE_SSL, value: {{ $c.stores.postgresql.sslMode | default ($c.stores.postgresql.bundled | ternary "disable" "require") | ne "disable" | quote }}}
  - name: SECRET_KEY_BASE
    valueFrom: {secretKeyRef: {name: blockscout, key: secretKeyBase}}
  - {name: PORT, value: {{ $c.facts.ports.http | toString | quote }}}
  - {name: MIX_ENV, value: prod}
  - {name: RELEASE_TMP, value: /tmp}
  # From 9.1 on. Before, all it says is written into files as well, up to a GiB of each kind.
  - {name: DISABLE_FILE_LOGGING, value: "true"}
  - {name: API_V2_ENABLED, value: "true"}
  - {name: BLOCKSCOUT_HOST, value: {{ include "common.host" $c | quote }}}
  - {name: BLOCKSCOUT_PROTOCOL, value: {{ include "common.publicScheme" $c }}}
  - {name: CHAIN_ID, value: {{ $c.global.chainId | quote }}}
  - {name: NETWORK, value: {{ $c.global.chainName | quote }}}
  - {name: SUBNETWORK, value: {{ $c.global.chainName | quote }}}
  - {name: COIN, value: {{ $c.values.coin.symbol | quote }}}
  - {name: COIN_NAME, value: {{ $c.values.coin.name | quote }}}
  - {name: ETHEREUM_JSONRPC_VARIANT, value: besu}
  - {name: ETHEREUM_JSONRPC_TRANSPORT, value: http}
  - {name: ETHEREUM_JSONRPC_HTTP_URL, value: {{ $gateway | quote }}}
  - {name: ETHEREUM_JSONRPC_TRACE_URL, value: {{ $gateway | quote }}}
  {{- range $name, $value := $c.values.settings }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
  {{- include "common.extraEnv" $c | nindent 2 }}
{{ include "common.resources" $c }}
{{ include "common.containerSecurity" $c }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: logs, mountPath: /app/logs}
  - {name: dets, mountPath: /app/dets}
  {{- include "common.caMounts" $c | nindent 2 }}
  {{- include "common.extraVolumeMounts" $c | nindent 2 }}
{{- end -}}
