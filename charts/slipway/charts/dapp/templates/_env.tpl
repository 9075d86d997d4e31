{{/* Variables of the dApp and of its job. Takes $c. */}}
{{- define "dapp.env" -}}
{{- $c := . }}{{ $secret := $c.values.existingSecret | default "dapp" -}}
{{- $self := include "common.publicURL" (list $c "dapp") -}}
{{- if $c.values.expose.host }}{{ $self = printf "%s://%s" (include "common.publicScheme" $c) $c.values.expose.host }}{{ end -}}
{{- $graphs := list -}}
{{- range $c.values.subgraphs }}{{ $graphs = append $graphs (printf "%s/subgraphs/name/%s" (include "common.url" (list $c "graph-node.http")) .) }}{{ end -}}
{{ include "common.postgresql.env" $c }}
{{ include "common.postgresql.urlEnv" (list $c "SETTLEMINT_HASURA_DATABASE_URL") }}
- name: SETTLEMINT_HASURA_ADMIN_SECRET
  valueFrom: {secretKeyRef: {name: {{ $c.values.hasuraAdmin.existingSecret }}, key: {{ $c.values.hasuraAdmin.existingSecretKey }}}}
# The name of a key vault, in spite of what it is called.
- {name: SETTLEMINT_HD_PRIVATE_KEY, value: {{ $c.values.keyVault | quote }}}
- name: BETTER_AUTH_SECRET
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: authSecret}}
- {name: BETTER_AUTH_URL, value: {{ $self | quote }}}
- {name: NEXTAUTH_URL, value: {{ $self | quote }}}
- {name: NEXT_PUBLIC_APP_ID, value: {{ $c.values.appId | quote }}}
- {name: SETTLEMINT_INSTANCE, value: standalone}
- {name: SETTLEMINT_BLOCKCHAIN_NODE_JSON_RPC_ENDPOINT, value: {{ include "common.url" (list $c "signer.http") | quote }}}
- {name: SETTLEMINT_HASURA_ENDPOINT, value: "{{ include "common.url" (list $c "hasura.http") }}/v1/graphql"}
- {name: SETTLEMINT_PORTAL_GRAPHQL_ENDPOINT, value: "{{ include "common.url" (list $c "portal.graphql") }}/graphql"}
- {name: SETTLEMINT_THEGRAPH_SUBGRAPHS_ENDPOINTS, value: {{ $graphs | toJson | quote }}}
- {name: SETTLEMINT_BLOCKSCOUT_GRAPHQL_ENDPOINT, value: "{{ include "common.url" (list $c "blockscout.http") }}/api/v1/graphql"}
- {name: SETTLEMINT_BLOCKSCOUT_UI_ENDPOINT, value: "{{ include "common.publicURL" (list $c "blockscout") }}/"}
{{- with $c.stores.objectStore }}
- {name: SETTLEMINT_MINIO_ENDPOINT, value: {{ .endpoint | quote }}}
{{ include "common.secretEnv" (list . "accessKey" "SETTLEMINT_MINIO_ACCESS_KEY") }}
{{ include "common.secretEnv" (list . "secretKey" "SETTLEMINT_MINIO_SECRET_KEY") }}
{{- if .caSecret }}
- {name: NODE_EXTRA_CA_CERTS, value: /etc/slipway/object-store-ca/ca.crt}
{{- end }}
{{- end }}
{{- with $c.global.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_PROTOCOL, value: grpc}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://{{ . }}"}
{{- end }}
{{- end -}}
