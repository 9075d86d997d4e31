{{/* config.toml of a role. Takes $c with $c.apis and $c.besu. */}}
{{- define "besu.config" -}}
{{- $c := . -}}
{{- $config := dict
  "data-path" "/data/besu"
  "genesis-file" "/etc/besu/genesis/genesis.json"
  "static-nodes-file" "/etc/besu/genesis/static-nodes.json"
  "node-private-key-file" "/run/secrets/besu/privateKey"
  "data-storage-format" .besu.dataStorageFormat
  "sync-mode" "FULL"
  "logging" .besu.logLevel
  "max-peers" .besu.maxPeers
  "nat-method" "NONE"
  "Xdns-enabled" true
  "Xdns-update-enabled" true
  "min-gas-price" .gasPrice
  "rpc-tx-feecap" 0
  "tx-pool" "SEQUENCED"
  "tx-pool-max-size" 100000
  "tx-pool-limit-by-account-percentage" 1
  "tx-pool-no-local-priority" true
  "revert-reason-enabled" true
  "host-allowlist" (list "*")
  "rpc-http-enabled" true
  "rpc-http-host" "0.0.0.0"
  "rpc-http-port" .facts.ports.http
  "rpc-http-api" .apis
  "rpc-http-max-active-connections" .besu.maxConnections
  "metrics-enabled" true
  "metrics-protocol" (upper .besu.metricsProtocol) -}}
{{- with .facts.ports.metrics -}}
  {{- $config = merge $config (dict "metrics-host" "0.0.0.0" "metrics-port" .) -}}
{{- end -}}
{{- if .facts.ports.ws -}}
  {{- $config = merge $config (dict "rpc-ws-enabled" true "rpc-ws-host" "0.0.0.0" "rpc-ws-port" .facts.ports.ws "rpc-ws-api" .apis "rpc-ws-max-active-connections" .besu.maxConnections) -}}
{{- end -}}
{{- range $key, $value := merge (dict) .besu.config $config }}
{{ $key }}={{ kindIs "float64" $value | ternary (int64 $value) $value | toJson }}
{{- end }}
{{- end -}}

{{/*
Whether a node has metrics at a port, or sends them and traces. Takes $c with
$c.besu, and changes it.
*/}}
{{- define "besu.telemetry" -}}
{{- if eq .besu.metricsProtocol "opentelemetry" -}}
  {{- if not .global.otlpEndpoint }}{{ fail "global.otlpEndpoint: is needed, because network.besu.metricsProtocol is opentelemetry" }}{{ end -}}
  {{- $_ := unset .facts "metrics" }}{{ $_ := unset .facts.ports "metrics" -}}
  {{- include "common.allowTraces" . -}}
{{- end -}}
{{- end -}}

{{/* The pod of a node. Takes $c with $c.besu, $c.image, $c.node (its name) and $c.keys (a volume). */}}
{{- define "besu.pod" -}}
{{- $c := . }}{{ $besu := .besu -}}
{{- /* The image's own user, whose home is where Besu is. */}}
{{- $_ := set $c "podSecurity" (dict "runAsUser" 1000 "runAsGroup" 1000 "fsGroup" 1000) -}}
{{- include "common.podSpec" $c }}
# Besu writes its databases before it ends.
terminationGracePeriodSeconds: 120
initContainers:
  # The accounts of the genesis file stand in ConfigMaps of their own, and a mounted
  # list of static nodes may be older than the node.
  - name: compile-genesis
    {{- include "common.slipwayImage" $c | nindent 4 }}
    command: [slipway]
    args:
      - compile-genesis
      - --namespace={{ $c.namespace }}
      - --genesis-configmap-name={{ $c.global.networkNodes.genesisConfigMapName }}
      - --output-path=/etc/besu/genesis/genesis.json
      - --static-nodes-configmap-name={{ $c.global.networkNodes.staticNodesConfigMapName }}
      - --static-nodes-path=/etc/besu/genesis/static-nodes.json
      - --node={{ $c.node }}
      - --timeout={{ $c.global.waitTimeout }}
    terminationMessagePolicy: FallbackToLogsOnError
    {{- include "common.containerSecurity" $c | nindent 4 }}
    resources:
      requests: {cpu: 10m, memory: 64Mi}
      limits: {memory: 256Mi}
    env:
      - name: POD_NAME
        valueFrom: {fieldRef: {fieldPath: metadata.name}}
    volumeMounts:
      - {name: genesis, mountPath: /etc/besu/genesis}
      - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  {{- with $c.values.extraInitContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
containers:
  - name: besu
    {{- include "common.image" (dict "c" $c "image" $c.image) | nindent 4 }}
    command: [/opt/besu/bin/besu]
    args:
      - --config-file=/etc/besu/config/config.toml
      {{- if $c.announced }}
      - --p2p-host={{ $c.announced }}
      - --nat-method=NONE
      {{- else }}
      - --p2p-host=$(POD_IP)
      {{- end }}
      {{- if eq $besu.metricsProtocol "opentelemetry" }}
      # The name of the service in traces: Besu takes it from here alone.
      - --metrics-push-prometheus-job=$(POD_NAME)
      {{- end }}
    terminationMessagePolicy: FallbackToLogsOnError
    {{- include "common.containerPorts" $c | nindent 4 }}
      - {name: discovery, containerPort: {{ $c.facts.ports.p2p }}, protocol: UDP}
    env:
      - name: POD_IP
        valueFrom: {fieldRef: {fieldPath: status.podIP}}
      - name: POD_NAME
        valueFrom: {fieldRef: {fieldPath: metadata.name}}
      - {name: JAVA_OPTS, value: "-Xmx{{ div (mul (include "common.memoryMiB" (list $c $c.path) | int) 6) 10 }}m -Djava.io.tmpdir=/tmp"}
      {{- if eq $besu.metricsProtocol "opentelemetry" }}
      - {name: OTEL_EXPORTER_OTLP_PROTOCOL, value: grpc}
      - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://{{ $c.global.otlpEndpoint }}"}
      - {name: OTEL_LOGS_EXPORTER, value: none}
      {{- end }}
      {{- include "common.extraEnv" $c | nindent 6 }}
    {{- include "common.resources" $c | nindent 4 }}
    {{- include "common.containerSecurity" $c | nindent 4 }}
    # A node that has much to load may take an hour.
    startupProbe:
      {{- include "common.httpGet" (list $c "http" "/liveness") | nindent 6 }}
      periodSeconds: 10
      failureThreshold: 360
    livenessProbe:
      {{- include "common.httpGet" (list $c "http" "/liveness") | nindent 6 }}
      periodSeconds: 15
      timeoutSeconds: 5
      failureThreshold: 4
    readinessProbe:
      {{- include "common.httpGet" (list $c "http" (printf "/readiness?minPeers=%d&maxBlocksBehind=%d" (int $c.minPeers) (int $besu.maxBlocksBehind))) | nindent 6 }}
      periodSeconds: 5
      timeoutSeconds: 5
    volumeMounts:
      - {name: data, mountPath: /data}
      - {name: tmp, mountPath: /tmp}
      - {name: config, mountPath: /etc/besu/config, readOnly: true}
      - {name: genesis, mountPath: /etc/besu/genesis, readOnly: true}
      - {name: key, mountPath: /run/secrets/besu, {{ with $c.keySubPath }}subPathExpr: {{ . }}, {{ end }}readOnly: true}
      {{- include "common.extraVolumeMounts" $c | nindent 6 }}
volumes:
  - {name: tmp, emptyDir: {}}
  - {name: config, configMap: {name: {{ $c.name }}}}
  - {name: genesis, emptyDir: {}}
  # For compile-genesis alone: Besu has no business with the cluster.
  - name: token
    projected:
      sources:
        - serviceAccountToken: {path: token, expirationSeconds: 3600}
        - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
        - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
  - name: key
    {{- $c.keys | nindent 4 }}
  {{- include "common.extraVolumes" $c | nindent 2 }}
{{- end -}}

{{/* What both roles have besides StatefulSets. */}}
{{- define "besu.companions" -}}
{{- $c := . -}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "common.metadata" $c | nindent 2 }}
data:
  config.toml: |
    {{- include "besu.config" $c | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "common.metadata" $c | nindent 2 }}
rules:
  - {apiGroups: [""], resources: [configmaps], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "common.metadata" $c | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $c.name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $c.values.serviceAccount.name | default $c.name }}, namespace: {{ $c.namespace }}}
{{ include "common.serviceAccount" $c }}
{{ include "common.networkPolicy" $c }}
{{ include "common.monitor" $c }}
{{- end -}}
