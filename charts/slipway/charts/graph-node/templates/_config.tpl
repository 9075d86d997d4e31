{{/* Name of a pod to graph-node, which takes no dashes. Takes (list $c number). */}}
{{- define "graph-node.id" -}}
{{ (index . 0).name | replace "-" "_" }}_{{ index . 1 }}
{{- end -}}

{{/* The file. The address of the database is a variable, which graph-node itself puts in. */}}
{{- define "graph-node.config" -}}
{{- $c := . }}{{ $v := .values }}{{ $indexers := list -}}
{{- range $i := until (int $v.replicas) }}{{ $indexers = append $indexers (include "graph-node.id" (list $c $i)) }}{{ end -}}
[store]
[store.primary]
connection = "${GRAPH_POSTGRES_URL}"
pool_size = {{ $v.poolSize }}

[chains]
ingestor = {{ first $indexers | quote }}
[chains.{{ $v.networkName }}]
shard = "primary"
polling_interval = {{ $v.pollingInterval | int64 }}
provider = [{ label = "gateway", url = {{ include "common.chainUrl" $c | quote }}, features = {{ toJson $v.features }} }]

[deployment]
[[deployment.rule]]
indexers = {{ toJson $indexers }}
{{- end -}}
