{{- define "hasura.adminSecretEnv" -}}
{{- $own := empty .values.adminSecret.existingSecret -}}
- name: HASURA_GRAPHQL_ADMIN_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ $own | ternary "hasura-admin" .values.adminSecret.existingSecret }}
      key: {{ $own | ternary "adminSecret" .values.adminSecret.existingSecretKey }}
{{- end -}}

{{/* Name of the Secret that Hasura and the signer share. */}}
{{- define "hasura.actionSecret" -}}
{{- if .values.actions.existingSecret -}}
{{ .values.actions.existingSecret }}
{{- else if .global.endpoints.signer -}}
{{- fail "hasura.actions.existingSecret: is needed, because the signer at global.endpoints.signer has a secret of its own; or set hasura.actions.enabled to false" -}}
{{- else -}}
signer-hasura
{{- end -}}
{{- end -}}

{{/* Its Redis. TLS stands in variables, not in the scheme. */}}
{{- define "hasura.redisEnv" -}}
{{- $plain := deepCopy . }}{{ $_ := set $plain.stores.redis "tls" false -}}
{{ include "common.redis.env" . }}
{{ include "common.redis.urlEnv" (list $plain "HASURA_GRAPHQL_REDIS_URL" "cacheDb" "cacheUrl" "cacheQuery") }}
{{ include "common.redis.urlEnv" (list $plain "HASURA_GRAPHQL_RATE_LIMIT_REDIS_URL" "rateLimitDb" "rateLimitUrl" "query") }}
{{- with .stores.redis }}
{{- if .tls }}
{{- range list "REDIS" "RATE_LIMIT_REDIS" }}
- {name: HASURA_GRAPHQL_{{ . }}_USE_TLS, value: "true"}
- {name: HASURA_GRAPHQL_{{ . }}_TLS_HOSTNAME, value: {{ $.stores.redis.host | quote }}}
{{- end }}
{{- end }}
{{- if .caSecret }}
- {name: HASURA_GRAPHQL_REDIS_TLS_SHARED_CA_STORE_PATH, value: /etc/slipway/redis-ca/ca.crt}
{{- end }}
{{- end }}
{{- end -}}
