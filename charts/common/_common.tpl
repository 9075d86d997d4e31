{{/*
Templates that all charts share. docs/charts.md tells how to use them.
A component's templates begin with
  {{- $c := include "common.component" (dict "root" . "name" "gateway" "values" .Values) | fromJson -}}
and hand $c to everything below.
*/}}

{{/* ---- values ---- */}}

{{/* Two maps, the second one winning; null in it takes a key out, and stays for the next merge if there is none. JSON. */}}
{{- define "common.merge" -}}
{{- $out := deepCopy (index . 0) -}}
{{- range $key, $value := index . 1 -}}
  {{- if and (kindIs "invalid" $value) (hasKey $out $key) -}}
    {{- $_ := unset $out $key -}}
  {{- else if and (kindIs "map" $value) (kindIs "map" (get $out $key)) -}}
    {{- $_ := set $out $key (include "common.merge" (list (get $out $key) $value) | fromJson) -}}
  {{- else -}}
    {{- $_ := set $out $key $value -}}
  {{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{/* global with its defaults. Takes the root context. JSON. */}}
{{- define "common.global" -}}
{{- include "common.merge" (list (include "common.globalDefaults" . | fromJson) (.Values.global | default dict)) -}}
{{- end -}}

{{/* Everything the templates of a component need. JSON. */}}
{{- define "common.component" -}}
{{- $g := include "common.global" .root | fromJson -}}
{{- $facts := get (include "common.components" . | fromJson) .name | default dict -}}
{{- $facts = merge (pick . "calls" "stores" "datastore") $facts -}}
{{- $values := include "common.merge" (list (include "common.workloadDefaults" . | fromJson) (omit .values "global")) | fromJson -}}
{{- $c := dict "name" .name "global" $g "facts" $facts "values" $values -}}
{{- $_ := set $c "release" .root.Release.Name -}}
{{- $_ := set $c "namespace" .root.Release.Namespace -}}
{{- $_ := set $c "managedBy" .root.Release.Service -}}
{{- $_ := set $c "chart" (printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_")) -}}
{{- $_ := set $c "version" .root.Chart.AppVersion -}}
{{- $_ := set $c "kubeVersion" .root.Capabilities.KubeVersion.Version -}}
{{- $stores := dict -}}
{{- range $kind, $own := $facts.stores -}}
  {{- $request := dict "component" $.name "login" ($facts.login | default $.name) "global" $g "service" ($facts.datastore | default "default") "kind" $kind "own" $own "local" (dig $kind dict ($values.datastores | default dict)) -}}
  {{- $_ := set $stores $kind (include "common.store" $request | fromJson) -}}
{{- end -}}
{{- $_ := set $c "stores" $stores -}}
{{- toJson $c -}}
{{- end -}}

{{/* ---- names and labels ---- */}}

{{- define "common.selectorLabels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .release }}
{{- end -}}

{{/* Labels that do not change with a version. */}}
{{- define "common.stableLabels" -}}
{{ include "common.selectorLabels" . }}
app.kubernetes.io/component: {{ .name }}
app.kubernetes.io/part-of: slipway
{{- with .global.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "common.labels" -}}
{{ include "common.stableLabels" . }}
app.kubernetes.io/managed-by: {{ .managedBy }}
app.kubernetes.io/version: {{ .version | quote }}
helm.sh/chart: {{ .chart }}
{{- end -}}

{{/* metadata of an object: of the component itself, or (list $c "name"). */}}
{{- define "common.metadata" -}}
{{- $c := . }}{{ $name := "" -}}
{{- if kindIs "slice" . }}{{ $c = index . 0 }}{{ $name = index . 1 }}{{ end -}}
name: {{ $name | default $c.name }}
namespace: {{ $c.namespace }}
labels:
  {{- include "common.labels" $c | nindent 2 }}
{{- end -}}

{{/* metadata of a pod template; (list $c text...) adds a checksum of the texts. */}}
{{- define "common.podMetadata" -}}
{{- $c := . }}{{ $rolls := list -}}
{{- if kindIs "slice" . }}{{ $c = first . }}{{ $rolls = rest . }}{{ end -}}
labels:
  {{- include "common.stableLabels" $c | nindent 2 }}
  {{- range $call := $c.facts.calls }}
  slipway.io/calls-{{ $call }}: "true"
  {{- end }}
  {{- if $c.scrapes }}
  slipway.io/calls-metrics: "true"
  {{- end }}
  {{- if $c.callsExposed }}
  slipway.io/calls-exposed: "true"
  {{- end }}
  {{- if and (include "common.ownController" $c) (dig "expose" "enabled" false $c.values) $c.exposed }}
  slipway.io/exposed: "true"
  {{- end }}
  {{- range $kind, $store := $c.stores }}
  {{- if $store.bundled }}
  slipway.io/calls-{{ include "common.storePort" $kind }}: "true"
  {{- end }}
  {{- end }}
  {{- with $c.values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict -}}
{{- if $rolls }}{{ $_ := set $annotations "slipway.io/checksum" (join "\n" $rolls | sha256sum) }}{{ end -}}
{{- if and $c.global.metrics.annotations $c.facts.metrics -}}
  {{- $_ := set $annotations "prometheus.io/scrape" "true" -}}
  {{- $_ := set $annotations "prometheus.io/port" (get $c.facts.ports $c.facts.metrics.port | toString) -}}
  {{- $_ := set $annotations "prometheus.io/path" ($c.facts.metrics.path | default "/metrics") -}}
{{- end -}}
{{- with merge (dict) ($c.values.podAnnotations | default dict) $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* ---- images ---- */}}

{{/* image and imagePullPolicy of a container. Takes (dict "c" $c "image" {...}). */}}
{{- define "common.image" -}}
{{- $registry := .c.global.imageRegistry | default .image.registry | default "docker.io" -}}
{{- $name := printf "%s/%s" $registry .image.repository -}}
{{- if .image.digest -}}
image: {{ printf "%s@%s" $name .image.digest }}
{{- else -}}
image: {{ printf "%s:%s" $name (.image.tag | default .c.version) }}
{{- end }}
imagePullPolicy: {{ .image.pullPolicy | default "IfNotPresent" }}
{{- end -}}

{{- define "common.slipwayImage" -}}
{{- include "common.image" (dict "c" . "image" .global.images.slipway) -}}
{{- end -}}

{{/* ---- pods ---- */}}

{{/* What every pod has, above its containers. Takes $c. */}}
{{- define "common.podSpec" -}}
{{- $c := . -}}
serviceAccountName: {{ $c.values.serviceAccount.name | default $c.name }}
automountServiceAccountToken: {{ default false $c.mountsToken }}
enableServiceLinks: false
securityContext:
  {{- $restricted := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
  {{- $own := include "common.merge" (list $restricted ($c.podSecurity | default dict)) | fromJson -}}
  {{- $all := include "common.merge" (list $own $c.global.securityContexts.pod) | fromJson -}}
  {{- include "common.merge" (list $all $c.values.podSecurityContext) | fromJson | toYaml | nindent 2 }}
{{- $secrets := list -}}
{{- range $c.global.imagePullSecrets }}{{ $secrets = append $secrets (kindIs "map" . | ternary . (dict "name" .)) }}{{ end -}}
{{- range $name, $registry := $c.global.imagePullCredentials.registries }}
{{- if ne $registry.enabled false }}{{ $secrets = append $secrets (dict "name" (printf "image-pull-secret-%s" $name)) }}{{ end }}
{{- end }}
{{- with $secrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $c.values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $c.values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $c.values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $c.values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  - topologyKey: {{ $c.values.topologySpread.topologyKey }}
    maxSkew: {{ $c.values.topologySpread.maxSkew }}
    whenUnsatisfiable: {{ $c.values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "common.selectorLabels" $c | nindent 8 }}
{{- end -}}

{{/* securityContext of a container. Takes $c. */}}
{{- define "common.containerSecurity" -}}
{{- $restricted := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "runAsNonRoot" true "capabilities" (dict "drop" (list "ALL")) "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $all := include "common.merge" (list $restricted .global.securityContexts.container) | fromJson -}}
securityContext:
  {{- include "common.merge" (list $all .values.containerSecurityContext) | fromJson | toYaml | nindent 2 }}
{{- end -}}

{{/* A memory limit in MiB. Takes (list $c "path"): the component, and where its resources stand. */}}
{{- define "common.memoryMiB" -}}
{{- $limit := dig "limits" "memory" "" (index . 0).values.resources | toString -}}
{{- if regexMatch "^[0-9]+Gi$" $limit -}}
{{ mul (trimSuffix "Gi" $limit | int) 1024 }}
{{- else if regexMatch "^[0-9]+Mi$" $limit -}}
{{ trimSuffix "Mi" $limit }}
{{- else -}}
{{- fail (printf "%s.resources.limits.memory: must be given in Mi or Gi, because settings follow from it" (index . 1)) -}}
{{- end -}}
{{- end -}}

{{/* A claim of a StatefulSet. Takes (list $c "name"). */}}
{{- define "common.claimTemplate" -}}
{{- $c := index . 0 }}{{ $p := $c.values.persistence -}}
metadata:
  name: {{ index . 1 }}
  labels:
    {{- include "common.stableLabels" $c | nindent 4 }}
  {{- with $p.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $p.storageClass | default $c.global.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ $p.size }}}}
{{- end -}}

{{- define "common.resources" -}}
{{- with .values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Ports of the main container, from the table of components. */}}
{{- define "common.containerPorts" -}}
ports:
  {{- range $name, $port := .facts.ports }}
  - name: {{ $name }}
    containerPort: {{ $port }}
  {{- end }}
{{- end -}}

{{/* An HTTP probe. Takes (list $c "port" "/path"). */}}
{{- define "common.httpGet" -}}
httpGet:
  port: {{ index . 1 }}
  path: {{ index . 2 }}
{{- end -}}

{{/* Entries of volumes and volumeMounts that people add. */}}
{{- define "common.extraVolumes" -}}
{{- if include "common.mountsSecretStore" . }}
- name: secret-store
  csi: {driver: secrets-store.csi.k8s.io, readOnly: true, volumeAttributes: {secretProviderClass: slipway}}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "common.extraVolumeMounts" -}}
{{- if include "common.mountsSecretStore" . }}
- {name: secret-store, mountPath: /run/secret-store, readOnly: true}
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Whether its pods mount the CSI driver's volume, without which the driver makes no Secrets. */}}
{{- define "common.mountsSecretStore" -}}
{{- if and .stores (eq .global.secretStore.type "csi") }}true{{ end -}}
{{- end -}}

{{- define "common.extraEnv" -}}
{{- with .values.extraEnv }}
{{- toYaml . }}
{{- end }}
{{- end -}}

{{/* Init containers: a wait for every store, then those that people add. */}}
{{- define "common.initContainers" -}}
{{- $c := . -}}
{{- if or $c.stores $c.values.extraInitContainers -}}
initContainers:
  {{- if $c.stores.postgresql }}
  - name: wait-for-postgresql
    {{- include "common.waitContainer" $c | nindent 4 }}
    # Everything else stands in the variables below.
    args: [wait, --timeout={{ $c.global.waitTimeout }}, "postgresql://"]
    env:
      {{- include "common.postgresql.env" $c | nindent 6 }}
    {{- include "common.caMount" $c.stores.postgresql | nindent 4 }}
  {{- end }}
  {{- if $c.stores.redis }}
  - name: wait-for-redis
    {{- include "common.waitContainer" $c | nindent 4 }}
    args: {{ concat (list "wait" (printf "--timeout=%s" $c.global.waitTimeout)) (include "common.redis.targets" $c.stores.redis | fromJsonArray) | toJson }}
    env:
      {{- include "common.redis.env" $c | nindent 6 }}
      {{- include "common.redis.urlEnv" (list $c "REDIS_URL" "db" "url" "query") | nindent 6 }}
  {{- end }}
  {{- if $c.stores.objectStore }}
  {{- include "common.waitForObjectStore" $c | nindent 2 }}
  {{- end }}
  {{- with $c.values.extraInitContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A connection is waited for: who may log in to it is seen with the first request. */}}
{{- define "common.waitForObjectStore" -}}
{{- $store := .stores.objectStore -}}
- name: wait-for-object-store
  {{- include "common.waitContainer" . | nindent 2 }}
  args: [wait, --timeout={{ .global.waitTimeout }}, "tcp://{{ $store.host }}:{{ $store.port }}"]
{{- end -}}

{{- define "common.waitContainer" -}}
{{ include "common.slipwayImage" . }}
command: [slipway]
{{ include "common.containerSecurity" . }}
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {memory: 64Mi}
{{- end -}}

{{/* ---- addresses ---- */}}

{{/* URL of another component's port. Takes (list $c "gateway.http"); a third element replaces the scheme http. */}}
{{- define "common.url" -}}
{{- $c := index . 0 }}{{ $call := splitn "." 2 (index . 1) -}}
{{- $elsewhere := get $c.global.endpoints $call._0 -}}
{{- if $elsewhere -}}
{{ trimSuffix "/" $elsewhere }}
{{- else -}}
{{- $scheme := "http" }}{{ if gt (len .) 2 }}{{ $scheme = index . 2 }}{{ end -}}
{{ $scheme }}://{{ $call._0 }}.{{ $c.namespace }}.svc.{{ $c.global.clusterDomain }}:{{ include "common.port" (index . 1) }}
{{- end -}}
{{- end -}}

{{/* URL of the chain at the gateway, which answers there for no other chain. Takes $c. */}}
{{- define "common.chainUrl" -}}
{{ include "common.url" (list . "gateway.http") }}/evm/{{ .global.chainId }}
{{- end -}}

{{/* Says something where global.otlpEndpoint is Alloy of this release. Takes $c. */}}
{{- define "common.ownCollector" -}}
{{- $host := splitList ":" .global.otlpEndpoint | first -}}
{{- if has $host (list "alloy" (printf "alloy.%s" .namespace) (printf "alloy.%s.svc" .namespace) (printf "alloy.%s.svc.%s" .namespace .global.clusterDomain)) }}true{{ end -}}
{{- end -}}

{{/*
Lets a component reach global.otlpEndpoint: Alloy of this release by its labels,
which also holds where policies for addresses do not mean pods, and anything
else by its port. Takes $c, and changes it.
*/}}
{{- define "common.allowTraces" -}}
{{- with .global.otlpEndpoint -}}
  {{- if include "common.ownCollector" $ -}}
    {{- $_ := set $.facts "calls" (append ($.facts.calls | default list) "alloy.otlp-grpc") -}}
  {{- else -}}
    {{- $_ := set $ "egress" (append ($.egress | default list) (splitList ":" . | last | int) | uniq) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* host:port of another component. Takes (list $c "ipfs.api"). */}}
{{- define "common.address" -}}
{{- $url := include "common.url" . -}}
{{ (urlParse $url).hostname }}:{{ include "common.urlPort" $url }}
{{- end -}}

{{/* Number of a port. Takes "gateway.http". */}}
{{- define "common.port" -}}
{{- $call := splitn "." 2 . -}}
{{- $port := dig $call._0 "ports" $call._1 "" (include "common.components" . | fromJson) -}}
{{- if not $port }}{{ fail (printf "charts/common/components.yaml has no port %s" .) }}{{ end -}}
{{ $port }}
{{- end -}}

{{/* Host under which a component is found from outside. */}}
{{- define "common.host" -}}
{{ .values.expose.host | default (include "common.hostOf" (list . .name)) }}
{{- end -}}

{{/* Host under which another component is found from outside. Takes (list $c "blockscout"). */}}
{{- define "common.hostOf" -}}
{{- $c := index . 0 }}{{ $name := index . 1 }}{{ $tenant := $c.global.tenant -}}
{{- if get $c.global.expose.hosts $name -}}
{{ get $c.global.expose.hosts $name }}
{{- else if $tenant.enabled -}}
{{ printf "%s.%s.%s.%s" $name $tenant.client $tenant.environment $c.global.domain }}
{{- else -}}
{{ printf "%s.%s" $name $c.global.domain }}
{{- end -}}
{{- end -}}

{{/* URL at which another component is found from outside. Takes (list $c "blockscout"). */}}
{{- define "common.publicURL" -}}
{{- $c := index . 0 -}}
{{ get $c.global.endpoints (index . 1) | default (printf "%s://%s" (include "common.publicScheme" $c) (include "common.hostOf" .)) | trimSuffix "/" }}
{{- end -}}

{{- define "common.publicScheme" -}}
{{ .global.expose.tls.enabled | ternary "https" "http" }}
{{- end -}}

{{/* ---- stores ---- */}}

{{/*
Where a store is and how it is logged in to, from global.datastores and the
component's own values. JSON: host, port, ..., bundled (the one of the chart
support), secret (name and keys), inline (the password stands in the values).
*/}}
{{- define "common.store" -}}
{{- $kind := .kind }}{{ $path := printf "global.datastores.%s.%s" .service $kind -}}
{{- $store := dict "host" $kind "existingSecretKeys" (dict "password" "password") "sentinel" dict "cluster" list -}}
{{- if eq $kind "objectStore" -}}
  {{- $store = dict "region" "us-east-1" "pathStyle" true "auth" true "existingSecretKeys" (dict "accessKey" "accessKey" "secretKey" "secretKey") "sentinel" dict "cluster" list -}}
{{- else if eq $kind "postgresql" -}}
  {{- $store = merge (dict "port" 5432 "database" "postgres" "username" "postgres") $store -}}
{{- else -}}
  {{- $store = merge (dict "port" 6379 "username" "default" "auth" true "tls" false "db" 0) $store -}}
{{- end -}}
{{- $layers := list (dig "default" $kind dict .global.datastores) .own -}}
{{- if ne .service "default" }}{{ $layers = append $layers (dig .service $kind dict .global.datastores) }}{{ end -}}
{{- range append $layers .local -}}
  {{- $layer := dict -}}
  {{- range $key, $value := . }}{{ if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}{{ $_ := set $layer $key $value }}{{ end }}{{ end -}}
  {{- if or $layer.password $layer.secretKey }}{{ $_ := unset $store "existingSecret" }}{{ end -}}
  {{- if $layer.existingSecret }}{{ $_ := unset (unset $store "password") "secretKey" }}{{ end -}}
  {{- if and (eq $kind "objectStore") (hasKey $layer "auth") (not $layer.auth) }}{{ $_ := unset (unset $store "existingSecret") "secretKey" }}{{ end -}}
  {{- if $layer.host }}{{ $_ := set $store "sentinel" dict }}{{ $_ := set $store "cluster" list }}{{ end -}}
  {{- $store = include "common.merge" (list $store $layer) | fromJson -}}
{{- end -}}
{{- $_ := set $store "kind" ($kind | kebabcase) -}}
{{- if eq $kind "objectStore" }}{{ $store = include "common.objectStore.place" $store | fromJson }}{{ end -}}
{{- $_ := set $store "bundled" (and (eq $store.host $store.kind) (not $store.sentinel.addresses) (not $store.cluster)) -}}
{{- $password := eq $kind "objectStore" | ternary "secretKey" "password" -}}
{{- $_ := set $store "inline" (and (hasKey $store $password) (not $store.existingSecret)) -}}
{{- if and $store.inline (not .global.allowInlineSecrets) -}}
  {{- fail (printf "%s.%s: global.allowInlineSecrets is false; put it into a Secret and name that in %s.existingSecret" $path $password $path) -}}
{{- end -}}
{{- if and $store.inline (eq $kind "objectStore") (not $store.accessKey) -}}
  {{- fail (printf "%s.accessKey: is needed, because secretKey is there" $path) -}}
{{- end -}}
{{- $name := "" -}}
{{- if $store.existingSecret }}{{ $name = $store.existingSecret -}}
{{- else if and $store.inline (eq .service "default") }}{{ $name = printf "%s-inline" $store.kind -}}
{{- else if $store.inline }}{{ $name = printf "%s-%s-inline" .component $store.kind -}}
{{- else if and $store.bundled (ne $kind "postgresql") }}{{ $name = $store.kind -}}
{{- else if $store.bundled }}{{ $name = eq .service "default" | ternary "postgresql" (printf "%s-postgresql" (.login | default .component)) -}}
{{- else if and (ne $kind "postgresql") (eq $store.auth false) -}}
{{- else if eq $kind "objectStore" -}}
  {{- fail (printf "%s: the object store at %s needs keys; put them into a Secret and name that in %s.existingSecret, or set %s.auth to false where the account of the pods has a role" $path $store.host $path $path) -}}
{{- else -}}
  {{- fail (printf "%s: the %s at %s needs a password; put it into a Secret and name that in %s.existingSecret" $path $kind $store.host $path) -}}
{{- end -}}
{{- $keys := dict -}}
{{- if $store.existingSecret }}{{ $keys = $store.existingSecretKeys }}{{ else if and $name (eq $kind "objectStore") }}{{ $keys = dict "accessKey" "accessKey" "secretKey" "secretKey" }}{{ else if $name }}{{ $keys = dict "password" "password" }}{{ end -}}
{{- $_ := set $store "secret" (dict "name" $name "keys" $keys) -}}
{{- if and $store.caSecret (eq $kind "postgresql") (not $store.sslMode) }}{{ $_ := set $store "sslMode" "verify-full" }}{{ end -}}
{{- toJson $store -}}
{{- end -}}

{{/* What a URL says of an object store, or its absence. Takes the store. JSON. */}}
{{- define "common.objectStore.place" -}}
{{- $store := deepCopy . -}}
{{- if not $store.endpoint -}}
  {{- $_ := set $store "endpoint" (printf "http://%s:%s" $store.kind (include "common.port" "object-store.http")) -}}
  {{- $_ := set $store "bucket" ($store.bucket | default "slipway") -}}
{{- end -}}
{{- $_ := set $store "endpoint" (trimSuffix "/" $store.endpoint) -}}
{{- $_ := set $store "host" (urlParse $store.endpoint).hostname -}}
{{- $_ := set $store "port" (include "common.urlPort" $store.endpoint | int) -}}
{{- toJson $store -}}
{{- end -}}

{{/* The port of a kind of store, as the table of components has it. */}}
{{- define "common.storePort" -}}
{{ eq . "objectStore" | ternary "object-store.http" (printf "%s.tcp" .) }}
{{- end -}}

{{/* The store of the chart support as it is administered. Takes (list $global "kind"). JSON. */}}
{{- define "common.bundledStore" -}}
{{- $global := deepCopy (index . 0) }}{{ $kind := index . 1 -}}
{{- range $key := list "host" "port" "sentinel" "cluster" "tls" "sslMode" "caSecret" "targetSessionAttrs" "endpoint" }}{{ $_ := unset (get $global.datastores.default $kind | default dict) $key }}{{ end -}}
{{- include "common.store" (dict "component" $kind "global" $global "service" "default" "kind" $kind "own" dict "local" dict) -}}
{{- end -}}

{{/* An entry of env that comes from a store's Secret. Takes (list $store "key" "NAME"). */}}
{{- define "common.secretEnv" -}}
{{- $store := index . 0 -}}
- name: {{ index . 2 }}
  valueFrom:
    secretKeyRef:
      name: {{ $store.secret.name }}
      key: {{ get $store.secret.keys (index . 1) }}
{{- end -}}

{{/* The variables that libpq, and all that follow it, read. */}}
{{- define "common.postgresql.env" -}}
{{- $store := .stores.postgresql -}}
{{ include "common.postgresql.placeEnv" . }}
{{- if $store.secret.keys.username }}
{{ include "common.secretEnv" (list $store "username" "PGUSER") }}
{{- else }}
- {name: PGUSER, value: {{ $store.username | quote }}}
{{- end }}
{{ include "common.secretEnv" (list $store "password" "PGPASSWORD") }}
{{- end -}}

{{/* Those of them that say where the database is, and not who logs in. */}}
{{- define "common.postgresql.placeEnv" -}}
{{- $store := .stores.postgresql -}}
- {name: PGHOST, value: {{ $store.host | quote }}}
- {name: PGPORT, value: {{ $store.port | toString | quote }}}
- {name: PGDATABASE, value: {{ $store.database | quote }}}
- {name: PGSSLMODE, value: {{ $store.sslMode | default ($store.bundled | ternary "disable" "require") }}}
{{- with $store.targetSessionAttrs }}
- {name: PGTARGETSESSIONATTRS, value: {{ . }}}
{{- end }}
{{- if $store.caSecret }}
- {name: PGSSLROOTCERT, value: /etc/slipway/postgresql-ca/ca.crt}
{{- end }}
{{- end -}}

{{/*
A store's login as files, for programs that read them again when they change: an
entry of volumes, and one of volumeMounts. Without a subPath, whose files stay as
they are. Both take a store.
*/}}
{{- define "common.loginVolume" -}}
- name: {{ .kind }}-login
  secret:
    secretName: {{ .secret.name }}
    defaultMode: 0440
    items:
      - {key: {{ .secret.keys.password | quote }}, path: password}
      {{- with .secret.keys.username }}
      - {key: {{ . | quote }}, path: username}
      {{- end }}
{{- end -}}

{{- define "common.loginMount" -}}
- {name: {{ .kind }}-login, mountPath: {{ include "common.loginFolder" . }}, readOnly: true}
{{- end -}}

{{/* The folder in which password and, if the Secret has it, username are. */}}
{{- define "common.loginFolder" -}}
/run/secrets/{{ .kind }}
{{- end -}}

{{/*
One variable with the whole URL, for programs that take nothing else. Takes
(list $c "NAME"). It stands after common.postgresql.env, whose variables it uses
where the Secret has no URL: the password must then be made of A-Z a-z 0-9 - _ . ~
*/}}
{{- define "common.postgresql.urlEnv" -}}
{{- $store := (index . 0).stores.postgresql -}}
{{- if $store.secret.keys.url }}
{{- include "common.secretEnv" (list $store "url" (index . 1)) }}
{{- else if $store.inline -}}
- name: {{ index . 1 }}
  valueFrom: {secretKeyRef: {name: {{ $store.secret.name }}, key: url}}
{{- else -}}
- name: {{ index . 1 }}
  value: postgresql://$(PGUSER):$(PGPASSWORD)@$(PGHOST):$(PGPORT)/$(PGDATABASE)?sslmode=$(PGSSLMODE)
{{- end }}
{{- end -}}

{{/* Variables of a Redis, from which URLs are put together. */}}
{{- define "common.redis.env" -}}
{{- $store := .stores.redis -}}
- {name: REDIS_ADDRESS, value: "{{ $store.host }}:{{ $store.port }}"}
- {name: REDIS_USERNAME, value: {{ $store.username | quote }}}
{{- if $store.secret.keys.password }}
{{ include "common.secretEnv" (list $store "password" "REDIS_PASSWORD") }}
{{- end }}
{{- end -}}

{{/* Refuses Sentinel and Cluster for a program that takes one address. Takes $c. */}}
{{- define "common.redis.oneAddress" -}}
{{- $store := .stores.redis -}}
{{- if or $store.sentinel.addresses $store.cluster -}}
{{- fail (printf "global.datastores.%s.redis.host: is needed in place of sentinel and cluster, because %s takes one address" .facts.datastore .name) -}}
{{- end -}}
{{- end -}}

{{/*
What to wait for: a login where it can be told as a URL, and else a connection.
A password from somebody's Secret may have characters that a URL must not have. JSON.
*/}}
{{- define "common.redis.targets" -}}
{{- $addresses := concat .cluster (.sentinel.addresses | default list) -}}
{{- if $addresses -}}
  {{- $targets := list }}{{ range $addresses }}{{ $targets = append $targets (printf "tcp://%s" .) }}{{ end -}}
  {{- toJson $targets -}}
{{- else if or .caSecret (and .existingSecret (not .secret.keys.url)) -}}
  {{- list (printf "tcp://%s:%v" .host .port) | toJson -}}
{{- else -}}
  {{- list "env:REDIS_URL" | toJson -}}
{{- end -}}
{{- end -}}

{{/*
One variable with a whole Redis URL. Takes (list $c "NAME" "cacheDb" "cacheUrl" "cacheQuery"):
the key of the database's number, that of the URL in an existing Secret, that of
the query. It stands after common.redis.env.
*/}}
{{- define "common.redis.urlEnv" -}}
{{- $store := (index . 0).stores.redis }}{{ $db := index . 2 }}{{ $url := index . 3 -}}
{{- if get $store.secret.keys $url }}
{{- include "common.secretEnv" (list $store $url (index . 1)) }}
{{- else if $store.inline -}}
- name: {{ index . 1 }}
  valueFrom: {secretKeyRef: {name: {{ $store.secret.name }}, key: {{ $url }}}}
{{- else -}}
- name: {{ index . 1 }}
  value: {{ $store.tls | ternary "rediss" "redis" }}://{{ if $store.secret.keys.password }}$(REDIS_USERNAME):$(REDIS_PASSWORD)@{{ end }}$(REDIS_ADDRESS)/{{ get $store $db }}{{ with get $store (index . 4) | default $store.query }}?{{ . }}{{ end }}
{{- end }}
{{- end -}}

{{/* The variables in which every program with an SDK of AWS's looks for its object store. */}}
{{- define "common.objectStore.env" -}}
{{- $store := .stores.objectStore -}}
- {name: AWS_ENDPOINT_URL_S3, value: {{ $store.endpoint | quote }}}
- {name: AWS_REGION, value: {{ $store.region | quote }}}
{{- if $store.caSecret }}
- {name: AWS_CA_BUNDLE, value: /etc/slipway/object-store-ca/ca.crt}
{{- end }}
{{- if $store.secret.name }}
{{ include "common.secretEnv" (list $store "accessKey" "AWS_ACCESS_KEY_ID") }}
{{ include "common.secretEnv" (list $store "secretKey" "AWS_SECRET_ACCESS_KEY") }}
{{- end }}
{{- end -}}

{{- define "common.caMount" -}}
{{- if .caSecret -}}
volumeMounts:
  - {name: {{ .kind }}-ca, mountPath: /etc/slipway/{{ .kind }}-ca, readOnly: true}
{{- end -}}
{{- end -}}

{{/* Entries of volumes for the certificates of stores. */}}
{{- define "common.caVolumes" -}}
{{- range $kind, $store := .stores }}
{{- with $store.caSecret }}
- name: {{ $store.kind }}-ca
  secret: {secretName: {{ . }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Entries of volumeMounts for them, in the main container. */}}
{{- define "common.caMounts" -}}
{{- range $kind, $store := .stores }}
{{- if $store.caSecret }}
- {name: {{ $store.kind }}-ca, mountPath: /etc/slipway/{{ $store.kind }}-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{/* Secrets of passwords that stand in the values, with URLs made of them. */}}
{{- define "common.inlineSecrets" -}}
{{- $c := . -}}
{{- range $kind, $store := $c.stores }}
{{- if $store.inline }}
---
apiVersion: v1
kind: Secret
metadata:
  {{- include "common.metadata" (list $c $store.secret.name) | nindent 2 }}
type: Opaque
stringData:
  {{- if eq $kind "objectStore" }}
  accessKey: {{ $store.accessKey | quote }}
  secretKey: {{ $store.secretKey | quote }}
  {{- else }}
  password: {{ $store.password | quote }}
  {{- $login := printf "%s:%s" ($store.username | urlquery | replace "+" "%20") ($store.password | urlquery | replace "+" "%20") }}
  {{- if eq $kind "postgresql" }}
  url: {{ printf "postgresql://%s@%s:%v/%s?sslmode=%s" $login $store.host $store.port $store.database ($store.sslMode | default ($store.bundled | ternary "disable" "require")) | quote }}
  {{- else }}
  {{- range $key, $db := dict "url" "db" "cacheUrl" "cacheDb" "sharedStateUrl" "sharedStateDb" "rateLimitUrl" "rateLimitDb" }}
  {{- if hasKey $store $db }}
  {{- $query := get $store (dict "cacheUrl" "cacheQuery" "sharedStateUrl" "sharedStateQuery" | dig $key "query") | default $store.query }}
  {{ $key }}: {{ printf "%s://%s@%s:%v/%v%s" ($store.tls | ternary "rediss" "redis") $login $store.host $store.port (get $store $db) ($query | empty | ternary "" (printf "?%s" $query)) | quote }}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* All Secrets that may be asked for. JSON. */}}
{{- define "common.requestedSecrets" -}}
{{- $names := list -}}
{{- range include "common.components" . | fromJson }}{{ $names = concat $names (.secrets | default list) }}{{ end -}}
{{- toJson $names -}}
{{- end -}}

{{/*
A request that `slipway bootstrap` answers by making a Secret once. Takes
(list $c "name" (dict "password" "password")): the Secret and the kind of each key.
*/}}
{{- define "common.secretRequest" -}}
{{- $c := index . 0 }}
{{- if not (has (index . 1) (include "common.requestedSecrets" . | fromJsonArray)) }}
{{- fail (printf "charts/common/components.yaml: the Secret %s stands in no list of secrets" (index . 1)) }}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "common.metadata" (list $c (printf "secret-request-%s-%s" $c.name (index . 1))) | nindent 2 }}
    slipway.io/secret-request: "true"
data:
  name: {{ index . 1 }}
  keys: {{ index . 2 | toJson | quote }}
{{- end -}}

{{/*
The component's role and database on the bundled PostgreSQL: the request for its
password, and a job that makes both and can run again.
*/}}
{{- define "common.database" -}}
{{- $c := . }}{{ $store := $c.stores.postgresql -}}
{{- if $store.bundled }}
{{- $admin := include "common.bundledStore" (list $c.global "postgresql") | fromJson }}
{{- if eq $store.username $admin.username }}
{{- fail (printf "%s: the role %s is the one that administers the bundled PostgreSQL; give the component one of its own" $c.name $store.username) }}
{{- end }}
{{- if not (or $store.inline $store.existingSecret) }}
{{- include "common.secretRequest" (list $c $store.secret.name (dict "password" "password")) }}
{{- end }}
{{- $job := omit (deepCopy $c) "values" "exposed" }}
{{- $_ := set $job "name" (printf "%s-database" $c.name) }}
{{- $_ := set $job "facts" dict }}
{{- $_ := set $job "stores" (dict "postgresql" (merge (dict "database" "postgres" "targetSessionAttrs" "") $admin)) }}
{{- /* What people add to the component's pods is not about its job, which has none of their volumes. */}}
{{- $_ := set $job "values" (merge (dict "serviceAccount" (dict "name" "default")) (omit $c.values "podLabels" "podAnnotations" "extraInitContainers" "serviceAccount")) }}
{{- $spec := include "common.databaseJob" (list $job $store) }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "common.metadata" (list $job (printf "%s-%s" $job.name (sha256sum $spec | trunc 8))) | nindent 2 }}
spec:
  {{- $spec | nindent 2 }}
{{ include "common.networkPolicy" $job }}
{{- end }}
{{- end -}}

{{- define "common.databaseJob" -}}
{{- $job := index . 0 }}{{ $store := index . 1 -}}
backoffLimit: 6
template:
  metadata:
    {{- include "common.podMetadata" $job | nindent 4 }}
  spec:
    {{- include "common.podSpec" $job | nindent 4 }}
    restartPolicy: OnFailure
    {{- include "common.initContainers" $job | nindent 4 }}
    containers:
      - name: psql
        {{- include "common.image" (dict "c" $job "image" $job.global.images.postgresql) | nindent 8 }}
        command: [sh, -c, 'printf "%s" "$SQL" | psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file=-']
        env:
          {{- include "common.postgresql.env" $job | nindent 10 }}
          - {name: DATABASE, value: {{ $store.database | quote }}}
          {{- if $store.secret.keys.username }}
          {{- include "common.secretEnv" (list $store "username" "ROLE") | nindent 10 }}
          {{- else }}
          - {name: ROLE, value: {{ $store.username | quote }}}
          {{- end }}
          {{- include "common.secretEnv" (list $store "password" "ROLE_PASSWORD") | nindent 10 }}
          - name: SQL
            value: |-
              \getenv role ROLE
              \getenv password ROLE_PASSWORD
              \getenv database DATABASE
              SET client_min_messages = warning;
              SELECT pg_advisory_lock(5377) \g /dev/null
              SELECT format('CREATE ROLE %I', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
              SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %L', :'role', :'password') \gexec
              SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C'' LC_CTYPE {{ $store.ctype | default "C.UTF-8" | squote | replace "'" "''" }}', :'database', :'role') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
              SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'database') \gexec
              {{- with $store.extensions }}
              \connect :"database"
              SET client_min_messages = warning;
              {{- range . }}
              CREATE EXTENSION IF NOT EXISTS {{ . }};
              {{- if eq . "postgres_fdw" }}
              SELECT format('GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO %I', :'role') \gexec
              {{- end }}
              {{- end }}
              {{- end }}
        {{- include "common.containerSecurity" $job | nindent 8 }}
        resources:
          requests: {cpu: 10m, memory: 32Mi}
          limits: {memory: 128Mi}
{{- end -}}

{{/*
Annotations of a workload that reads Secrets once: Reloader, if there is one, restarts
it when they change. Takes (list $c "name"...): names besides those of its stores,
empty ones not counting. Of the stores in $c.readsAgain it takes a changed login over by
itself. What the bootstrap job makes never changes, and the roles of the
bundled PostgreSQL have their passwords until an upgrade.
*/}}
{{- define "common.reloads" -}}
{{- $c := first . }}{{ $names := rest . }}{{ $own := include "common.requestedSecrets" . | fromJsonArray -}}
{{- range $kind, $store := $c.stores -}}
  {{- if not (or (has $kind ($c.readsAgain | default list)) $store.inline (and $store.bundled (eq $kind "postgresql"))) }}{{ $names = append $names $store.secret.name }}{{ end -}}
  {{- $names = append $names ($store.caSecret | default "") -}}
{{- end -}}
{{- $outside := list -}}
{{- range $names | compact | uniq | sortAlpha }}{{ if or (not (has . $own)) (hasKey $c.global.secretStore.secrets .) }}{{ $outside = append $outside . }}{{ end }}{{ end -}}
{{- with $outside -}}
annotations:
  secret.reloader.stakater.com/reload: {{ join "," . | quote }}
{{- end -}}
{{- end -}}

{{/* ---- objects beside a workload; each takes $c ---- */}}

{{- define "common.serviceAccount" -}}
{{- if not .values.serviceAccount.name }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "common.metadata" . | nindent 2 }}
  {{- with .values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end -}}

{{- define "common.service" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "common.metadata" . | nindent 2 }}
  {{- with .values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .values.service.type }}
  selector:
    {{- include "common.selectorLabels" . | nindent 4 }}
  ports:
    {{- range $name, $port := .facts.ports }}
    - {name: {{ $name }}, port: {{ $port }}, targetPort: {{ $name }}}
    {{- end }}
{{- end -}}

{{- define "common.pdb" -}}
{{- if .values.pdb.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .values.pdb.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* replicas of a workload, which an autoscaler may own. */}}
{{- define "common.replicas" -}}
{{- if not .values.autoscaling.enabled -}}
replicas: {{ .values.replicas }}
{{- end -}}
{{- end -}}

{{- define "common.hpa" -}}
{{- if .values.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .name }}}
  minReplicas: {{ .values.autoscaling.minReplicas }}
  maxReplicas: {{ .values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .values.autoscaling.targetCPU }}}
{{- end }}
{{- end -}}

{{/*
What may reach the component, and what it may reach. Besides the table of
components: $c.exposed (as for common.expose), $c.callsAPIServer, $c.scrapes (all
ports of the release), $c.callsExposed (whatever is exposed), and $c.egress, ports
of things outside.
*/}}
{{- define "common.networkPolicy" -}}
{{- $c := . }}{{ $policy := .global.networkPolicy -}}
{{- if $policy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- if not (or $c.facts.ports $c.values.networkPolicy.extraIngress) }} []{{ end }}
    {{- range $name, $port := $c.facts.ports }}
    - from:
        - podSelector:
            matchLabels:
              slipway.io/calls-{{ $c.name }}.{{ $name }}: "true"
      ports:
        {{- include "common.policyPorts" (list $name $port) | nindent 8 }}
    {{- end }}
    {{- if and $c.facts.metrics (or $policy.metricsFrom (not $c.facts.metrics.shared)) }}
    - ports:
        {{- include "common.policyPorts" (list $c.facts.metrics.port (get $c.facts.ports $c.facts.metrics.port)) | nindent 8 }}
      {{- with $policy.metricsFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
    {{- if $c.facts.metrics }}
    # The collector of this release.
    - from:
        - podSelector:
            matchLabels:
              slipway.io/calls-metrics: "true"
      ports:
        {{- include "common.policyPorts" (list $c.facts.metrics.port (get $c.facts.ports $c.facts.metrics.port)) | nindent 8 }}
    {{- end }}
    {{- if and $c.values.expose.enabled $c.exposed }}
    - ports:
        {{- range $c.exposed }}
        {{- if eq (.component | default $c.name) $c.name }}
        {{- include "common.policyPorts" (list .port (get $c.facts.ports .port)) | nindent 8 }}
        {{- end }}
        {{- end }}
      {{- if include "common.ownController" $c }}
      from:
        - podSelector: {matchLabels: {slipway.io/calls-exposed: "true"}}
      {{- else if $policy.ingressFrom }}
      from:
        {{- toYaml $policy.ingressFrom | nindent 8 }}
      {{- end }}
    {{- end }}
    {{- with $c.values.networkPolicy.extraIngress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
    {{- range $call := $c.facts.calls }}
    {{- include "common.egressToComponent" (list $c $call) | nindent 4 }}
    {{- end }}
    {{- range $kind, $store := $c.stores }}
    {{- include "common.egressToStore" (list $c $store) | nindent 4 }}
    {{- end }}
    {{- if $c.scrapes }}
    # Whatever port of this release's pods says that it has metrics.
    - to:
        - podSelector: {matchLabels: {app.kubernetes.io/instance: {{ $c.release }}}}
    {{- end }}
    {{- if $c.callsExposed }}
    # At which ports, the policies of these pods say.
    - to:
        - podSelector: {matchLabels: {slipway.io/exposed: "true", app.kubernetes.io/instance: {{ $c.release }}}}
    {{- end }}
    {{- if $c.callsAPIServer }}
    - to:
        {{- include "common.cidrs" $policy.apiServerCIDRs | nindent 8 }}
      ports:
        - {port: 443, protocol: TCP}
        - {port: 6443, protocol: TCP}
    {{- end }}
    {{- with $c.egress }}
    - to:
        {{- include "common.cidrs" $policy.externalCIDRs | nindent 8 }}
      ports:
        {{- range . }}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
    {{- end }}
    {{- with $c.values.networkPolicy.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "common.egressToComponent" -}}
{{- $c := index . 0 }}{{ $call := index . 1 }}{{ $to := splitn "." 2 $call -}}
{{- $elsewhere := get $c.global.endpoints $to._0 -}}
{{- if $elsewhere -}}
- to:
    {{- include "common.cidrs" $c.global.networkPolicy.externalCIDRs | nindent 4 }}
  ports:
    - {port: {{ include "common.urlPort" $elsewhere }}, protocol: TCP}
{{- else -}}
- to:
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ $to._0 }}
          app.kubernetes.io/instance: {{ $c.release }}
  ports:
    {{- include "common.policyPorts" (list $to._1 (include "common.port" $call)) | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "common.egressToStore" -}}
{{- $c := index . 0 }}{{ $store := index . 1 -}}
- to:
    {{- if $store.bundled }}
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ $store.kind }}
          app.kubernetes.io/instance: {{ $c.release }}
    {{- else }}
    {{- include "common.cidrs" $c.global.networkPolicy.externalCIDRs | nindent 4 }}
    {{- end }}
  ports:
    {{- range include "common.storePorts" $store | fromJsonArray }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* Ports at which a store is reached, sentinels and nodes of a cluster included. JSON. */}}
{{- define "common.storePorts" -}}
{{- $ports := list -}}
{{- range concat (.sentinel.addresses | default list) .cluster }}{{ $ports = append $ports (splitList ":" . | last | int) }}{{ end -}}
{{- if not .cluster }}{{ $ports = append $ports (int .port) }}{{ end -}}
{{- /* Whoever has a role asks a service of the cloud for a key: STS, or an agent beside it. */ -}}
{{- if and (eq .kind "object-store") (not .secret.name) }}{{ $ports = concat $ports (list 443 80) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{- define "common.policyPorts" -}}
- {port: {{ index . 1 }}, protocol: TCP}
{{- if has (index . 0) (list "p2p" "swarm") }}
- {port: {{ index . 1 }}, protocol: UDP}
{{- end }}
{{- end -}}

{{- define "common.cidrs" -}}
{{- range $i, $cidr := . }}{{ if $i }}{{ "\n" }}{{ end -}}
- ipBlock: {cidr: {{ $cidr | quote }}}
{{- end }}
{{- end -}}

{{/* Port of a URL: its own, or that of its scheme. */}}
{{- define "common.urlPort" -}}
{{- $url := urlParse . -}}
{{- $host := splitList ":" $url.host -}}
{{- if gt (len $host) 1 }}{{ last $host }}{{ else }}{{ has $url.scheme (list "https" "wss") | ternary 443 80 }}{{ end -}}
{{- end -}}

{{/*
Ingress, HTTPRoute or Routes, whichever global.expose says, and the certificate.
$c.exposed lists the paths: {path: /, port: http}, the longest first. With
rewrite: true the component does not see the path (not of an Ingress, which has
no such setting).
*/}}
{{- define "common.expose" -}}
{{- $passes := include "common.passthrough" . }}
{{- if .values.expose.enabled }}
{{- include (printf "common.expose.%s" (empty $passes | ternary .global.expose.type "passthrough")) . }}
{{- if and (or .global.expose.tls.enabled $passes) .global.expose.tls.issuerRef.name }}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  secretName: {{ include "common.tlsSecret" . }}
  dnsNames: [{{ include "common.host" . | quote }}]
  issuerRef:
    {{- toYaml .global.expose.tls.issuerRef | nindent 4 }}
  privateKey: {rotationPolicy: Always}
{{- end }}
{{- end }}
{{- end -}}

{{- define "common.tlsSecret" -}}
{{ .values.expose.tls.secretName | default (printf "%s-tls" .name) }}
{{- end -}}

{{/* Whether Ingresses are for the release's own controller: "true" or "". */}}
{{- define "common.ownController" -}}
{{- if .global.expose.controller.enabled }}true{{ end -}}
{{- end -}}

{{/* Whether that controller has an IngressClass, which is an object of the whole cluster: "true" or "". */}}
{{- define "common.controllerIsClusterWide" -}}
{{- if and .global.expose.controller.clusterWide (not .global.tenant.enabled) }}true{{ end -}}
{{- end -}}

{{/* The class of Ingresses. */}}
{{- define "common.ingressClass" -}}
{{- .global.expose.className | default (include "common.ownController" . | empty | ternary "" (printf "%s-%s" .namespace .release)) -}}
{{- end -}}

{{/* Takes (list $c $more). */}}
{{- define "common.exposeAnnotations" -}}
{{- $c := index . 0 }}{{ $expose := $c.global.expose }}{{ $allowed := dict -}}
{{- if and $expose.allowedCIDRs (eq $expose.type "ingress") -}}
  {{- if include "common.ownController" $c }}{{ $_ := set $allowed "traefik.ingress.kubernetes.io/router.middlewares" "allowed@file" }}{{ else }}{{ $_ := set $allowed $expose.allowedCIDRsAnnotation (join "," $expose.allowedCIDRs) }}{{ end -}}
{{- end -}}
{{- if and (eq $expose.type "ingress") (include "common.ownController" $c) (not (include "common.controllerIsClusterWide" $c)) }}{{ $_ := set $allowed "kubernetes.io/ingress.class" (include "common.ingressClass" $c) }}{{ end -}}
{{- if and $expose.allowedCIDRs (eq $expose.type "route") }}{{ $_ := set $allowed "haproxy.router.openshift.io/ip_whitelist" (join " " $expose.allowedCIDRs) }}{{ end -}}
{{- if and $expose.allowedCIDRs (eq $expose.type "istio") }}{{ fail "global.expose.allowedCIDRs: has no place in a VirtualService; use an AuthorizationPolicy at the ingress gateway" }}{{ end -}}
{{- if and $expose.allowedCIDRs (eq $expose.type "gateway") }}{{ fail "global.expose.allowedCIDRs: has no place in an HTTPRoute; use a policy of your Gateway's" }}{{ end -}}
{{- with merge (dict) $c.values.expose.annotations $expose.annotations $allowed (index . 1) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Whether the component ends TLS itself, and what is before it does not: "true" or "". */}}
{{- define "common.passthrough" -}}
{{- if dig "passthrough" "enabled" false .values -}}
{{- if not .values.expose.enabled }}{{ fail (printf "%s.expose.enabled: is needed, because %s.passthrough.enabled is about how it is exposed" .name .name) }}{{ end -}}
{{- if eq .global.expose.type "ingress" }}{{ fail (printf "global.expose.type: must be gateway, route or istio, because %s.passthrough.enabled is true and an Ingress ends TLS itself" .name) }}{{ end -}}
true
{{- end -}}
{{- end -}}

{{/* Files with which it then serves, as both programs call them. JSON, null without. */}}
{{- define "common.serverTLS" -}}
{{- if include "common.passthrough" . -}}
{{- $files := dict "certFile" "/run/slipway/tls/tls.crt" "keyFile" "/run/slipway/tls/tls.key" -}}
{{- if .values.passthrough.clientCASecret }}{{ $_ := set $files "caFile" "/run/slipway/callers/ca.crt" }}{{ end -}}
{{- toJson $files -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{- define "common.serverTLSMounts" -}}
{{- if include "common.passthrough" . }}
- {name: tls, mountPath: /run/slipway/tls, readOnly: true}
{{- if .values.passthrough.clientCASecret }}
- {name: callers, mountPath: /run/slipway/callers, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "common.serverTLSVolumes" -}}
{{- if include "common.passthrough" . }}
- {name: tls, secret: {secretName: {{ include "common.tlsSecret" . }}}}
{{- with .values.passthrough.clientCASecret }}
- {name: callers, secret: {secretName: {{ . }}}}
{{- end }}
{{- end }}
{{- end -}}

{{/* What passes TLS on by the name that callers ask for; there are no paths in it. */}}
{{- define "common.expose.passthrough" }}
{{- $c := . }}{{ $expose := .global.expose }}{{ $port := (last .exposed).port }}
---
{{- if eq $expose.type "gateway" }}
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
{{- else if eq $expose.type "route" }}
apiVersion: route.openshift.io/v1
kind: Route
{{- else }}
apiVersion: networking.istio.io/v1
kind: VirtualService
{{- end }}
metadata:
  {{- include "common.metadata" . | nindent 2 }}
  {{- include "common.exposeAnnotations" (list . dict) | nindent 2 }}
spec:
  {{- if eq $expose.type "gateway" }}
  {{- include "common.parentRefs" . | nindent 2 }}
  hostnames: [{{ include "common.host" . | quote }}]
  rules:
    - backendRefs: [{name: {{ .name }}, port: {{ include "common.port" (printf "%s.%s" .name $port) }}}]
  {{- else if eq $expose.type "route" }}
  host: {{ include "common.host" . | quote }}
  to: {kind: Service, name: {{ .name }}, weight: 100}
  port: {targetPort: {{ $port }}}
  tls: {termination: passthrough, insecureEdgeTerminationPolicy: None}
  {{- else }}
  gateways: [{{ include "common.istioGateway" . }}]
  hosts: [{{ include "common.host" . | quote }}]
  tls:
    - match: [{port: 443, sniHosts: [{{ include "common.host" . | quote }}]}]
      route: [{destination: {host: {{ .name }}, port: {number: {{ include "common.port" (printf "%s.%s" .name $port) }}}}}]
  {{- end }}
{{- end -}}

{{/* The Gateway that routes are attached to. */}}
{{- define "common.parentRefs" -}}
parentRefs:
  {{- with .global.expose.gateway }}
  - name: {{ .name }}
    {{- with .namespace }}
    namespace: {{ . }}
    {{- end }}
    {{- with .sectionName }}
    sectionName: {{ . }}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "common.istioGateway" -}}
{{- with .global.expose.gateway }}{{ .namespace | empty | ternary .name (printf "%s/%s" .namespace .name) }}{{ end -}}
{{- end -}}

{{- define "common.expose.ingress" }}
{{- $c := . }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "common.metadata" . | nindent 2 }}
  {{- include "common.exposeAnnotations" (list . dict) | nindent 2 }}
spec:
  {{- if not (and (include "common.ownController" .) (not (include "common.controllerIsClusterWide" .))) }}
  {{- with include "common.ingressClass" . }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- end }}
  {{- if .global.expose.tls.enabled }}
  tls:
    - {hosts: [{{ include "common.host" . | quote }}], secretName: {{ include "common.tlsSecret" . }}}
  {{- end }}
  rules:
    - host: {{ include "common.host" . | quote }}
      http:
        paths:
          {{- range .exposed }}
          - path: {{ .path }}
            pathType: Prefix
            backend: {service: {name: {{ .component | default $c.name }}, port: {name: {{ .port }}}}}
          {{- end }}
{{- end -}}

{{- define "common.expose.gateway" }}
{{- $c := . }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "common.metadata" . | nindent 2 }}
  {{- include "common.exposeAnnotations" (list . dict) | nindent 2 }}
spec:
  {{- include "common.parentRefs" . | nindent 2 }}
  hostnames: [{{ include "common.host" . | quote }}]
  rules:
    {{- range .exposed }}
    - matches: [{path: {type: PathPrefix, value: {{ .path }}}}]
      {{- if .rewrite }}
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
      {{- end }}
      backendRefs: [{name: {{ .component | default $c.name }}, port: {{ include "common.port" (printf "%s.%s" (.component | default $c.name) .port) }}}]
    {{- end }}
{{- end -}}

{{- define "common.expose.istio" }}
{{- $c := . }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  {{- include "common.metadata" . | nindent 2 }}
  {{- include "common.exposeAnnotations" (list . dict) | nindent 2 }}
spec:
  gateways: [{{ include "common.istioGateway" . }}]
  hosts: [{{ include "common.host" . | quote }}]
  http:
    {{- range .exposed }}
    - match: [{uri: {prefix: {{ .path }}}}]
      {{- if .rewrite }}
      rewrite: {uri: /}
      {{- end }}
      route: [{destination: {host: {{ .component | default $c.name }}, port: {number: {{ include "common.port" (printf "%s.%s" (.component | default $c.name) .port) }}}}}]
    {{- end }}
{{- end -}}

{{- define "common.expose.route" }}
{{- $c := . }}
{{- range $i, $at := .exposed }}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata:
  {{- include "common.metadata" (list $c (eq $i 0 | ternary $c.name (printf "%s-%s" $c.name $at.port))) | nindent 2 }}
  {{- include "common.exposeAnnotations" (list $c ($at.rewrite | default false | ternary (dict "haproxy.router.openshift.io/rewrite-target" "/") dict)) | nindent 2 }}
spec:
  host: {{ include "common.host" $c | quote }}
  {{- if ne $at.path "/" }}
  path: {{ $at.path }}
  {{- end }}
  to: {kind: Service, name: {{ $at.component | default $c.name }}, weight: 100}
  port: {targetPort: {{ $at.port }}}
  {{- with $c.global.expose.tls }}
  {{- if .enabled }}
  tls:
    termination: edge
    insecureEdgeTerminationPolicy: Redirect
    {{- if or .issuerRef.name $c.values.expose.tls.secretName }}
    externalCertificate: {name: {{ include "common.tlsSecret" $c }}}
    {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Gives a role to the component's account. Takes (list $c "Role" "name"). */}}
{{- define "common.binding" }}
{{- $c := index . 0 }}{{ $kind := index . 1 }}{{ $name := index . 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- $metadata := include "common.metadata" (list $c $name) }}
  {{- eq $kind "ClusterRole" | ternary ($metadata | replace (printf "\nnamespace: %s" $c.namespace) "") $metadata | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $c.values.serviceAccount.name | default $c.name }}, namespace: {{ $c.namespace }}}
{{- end -}}

{{/* metadata of an object of the whole cluster. Takes (list $c "name"). */}}
{{- define "common.clusterMetadata" -}}
{{- include "common.metadata" . | replace (printf "\nnamespace: %s" (index . 0).namespace) "" -}}
{{- end -}}

{{/* Name of an object of the whole cluster that no other release has. */}}
{{- define "common.clusterName" -}}
{{ printf "%s-%s-%s" .namespace .release .name }}
{{- end -}}

{{/* ServiceMonitor or PodMonitor for the Prometheus operator. */}}
{{- define "common.monitor" -}}
{{- $m := .global.metrics -}}
{{- if and .facts.metrics (ne $m.monitor "none") }}
---
apiVersion: monitoring.coreos.com/v1
kind: {{ eq $m.monitor "pod" | ternary "PodMonitor" "ServiceMonitor" }}
metadata:
  {{- include "common.metadata" . | nindent 2 }}
    {{- with $m.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
  {{ eq $m.monitor "pod" | ternary "podMetricsEndpoints" "endpoints" }}:
    - port: {{ .facts.metrics.port }}
      path: {{ .facts.metrics.path | default "/metrics" }}
      interval: {{ $m.interval }}
{{- end }}
{{- end -}}
