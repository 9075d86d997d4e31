{{/* The gateway's file. What is secret in it, and the chain id, are variables. */}}
{{- define "gateway.config" -}}
{{- $c := . }}{{ $v := .values -}}
{{- $chain := "${CHAIN_ID}" -}}
{{- $upstreams := list -}}
{{- if $v.upstreams -}}
  {{- $upstreams = $v.upstreams -}}
{{- else if get $c.global.endpoints "besu-node-rpc" -}}
  {{- $upstreams = list (dict "id" "besu-node-rpc" "endpoint" (include "common.url" (list $c "besu-node-rpc.http")) "evm" (dict "chainId" $chain)) -}}
{{- else -}}
  {{- $port := include "common.port" "besu-node-rpc.http" -}}
  {{- range $i := until (int $c.global.networkNodes.rpcReplicaCount) -}}
    {{- $node := printf "besu-node-rpc-%d" $i -}}
    {{- $endpoint := printf "http://%s.besu-node-rpc.%s.svc.%s:%s" $node $c.namespace $c.global.clusterDomain $port -}}
    {{- $upstreams = append $upstreams (dict "id" $node "endpoint" $endpoint "evm" (dict "chainId" $chain)) -}}
  {{- end -}}
  {{- if not $upstreams }}{{ fail "gateway.upstreams: nodes are needed, because global.networkNodes.rpcReplicaCount is 0" }}{{ end -}}
{{- end -}}
{{- $alias := $c.global.chainName | lower | replace " " "-" -}}
{{- $network := dict "architecture" "evm" "alias" $alias "finality" "instant" "evm" (dict "chainId" $chain) -}}
{{- $file := dict
  "logLevel" $v.logLevel
  "clusterKey" (printf "%s-%s" $c.namespace $c.release)
  "server" (dict "httpPort" 4000 "waitBeforeShutdown" (printf "%vs" $v.drain.notReady) "waitAfterShutdown" (printf "%vs" $v.drain.requests))
  "metrics" (dict "port" 4001)
  "projects" (list (dict "id" $v.projectId "networks" (list $network) "upstreams" $upstreams)) -}}
{{- with include "common.serverTLS" $c | fromJson }}{{ $_ := set $file.server "tls" (merge (dict "enabled" true) .) }}{{ end -}}
{{- with $c.global.otlpEndpoint }}{{ $_ := set $file "tracing" (dict "enabled" true "protocol" "grpc" "endpoint" .) }}{{ end -}}
{{- with $c.stores.redis -}}
  {{- $cache := include "gateway.redis" (dict "store" . "db" .cacheDb "query" .cacheQuery "url" "cacheUrl" "variable" "${REDIS_CACHE_URL}") | fromJson -}}
  {{- $shared := include "gateway.redis" (dict "store" . "db" .sharedStateDb "query" .sharedStateQuery "url" "sharedStateUrl" "variable" "${REDIS_SHARED_URL}") | fromJson -}}
  {{- $policies := list -}}
  {{- range $finality, $ttl := dict "finalized" "0s" "unfinalized" "5s" "realtime" "5s" -}}
    {{- $policies = append $policies (dict "network" "*" "method" "*" "finality" $finality "connector" "redis" "ttl" $ttl) -}}
  {{- end -}}
  {{- $_ := set $file "database" (dict
    "evmJsonRpcCache" (dict "connectors" (list (dict "id" "redis" "driver" "redis" "redis" $cache)) "policies" $policies)
    "sharedState" (dict "connector" (dict "id" "redis" "driver" "redis" "redis" $shared))) -}}
{{- end -}}
{{- /* Between quotes no character of a password means anything. */ -}}
{{- $text := include "common.merge" (list $file $v.config) | fromJson | toYaml -}}
{{- regexReplaceAll `(?m)((?:password|uri): )(\$\{[A-Z0-9_]+\})$` $text "${1}\"${2}\"" -}}
{{- end -}}

{{/* A redis section: where it is, with the password in a file or the URL as a variable. JSON. */}}
{{- define "gateway.redis" -}}
{{- $store := .store }}{{ $out := dict -}}
{{- if get $store.secret.keys .url -}}
  {{- $_ := set $out "uri" .variable -}}
{{- else -}}
  {{- if or $store.sentinel.addresses $store.cluster -}}
    {{- $_ := set $out "username" $store.username -}}
    {{- if $store.cluster -}}
      {{- $_ := set $out "cluster" $store.cluster -}}
      {{- $_ := set $out "keyPrefix" "slipway:" -}}
    {{- else -}}
      {{- $_ := set $out "sentinel" (dict "master" $store.sentinel.master "addresses" $store.sentinel.addresses) -}}
      {{- $_ := set $out "db" .db -}}
    {{- end -}}
    {{- if $store.tls }}{{ $_ := set $out "tls" (dict "enabled" true) }}{{ end -}}
  {{- else -}}
    {{- $query := .query | default $store.query | default "" -}}
    {{- $_ := set $out "uri" (printf "%s://%s@%s:%v/%v%s" ($store.tls | ternary "rediss" "redis") ($store.username | urlquery) $store.host $store.port .db ($query | empty | ternary "" (printf "?%s" $query))) -}}
  {{- end -}}
  {{- if $store.secret.keys.password }}{{ $_ := set $out "passwordFile" (printf "%s/password" (include "common.loginFolder" $store)) }}{{ end -}}
{{- end -}}
{{- if $store.caSecret }}{{ $_ := set $out "tls" (merge (dict "caFile" "/etc/slipway/redis-ca/ca.crt") ($out.tls | default dict)) }}{{ end -}}
{{- toJson $out -}}
{{- end -}}
