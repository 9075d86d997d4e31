{{/* Alloy's file. Takes $c. */}}
{{- define "observability.alloy" -}}
{{- $c := . }}{{ $v := $c.values -}}
logging {
  level  = "info"
  format = "json"
}

discovery.kubernetes "pods" {
  role = "pod"
  namespaces {
    names = [{{ $c.namespace | quote }}]
  }
  selectors {
    role  = "pod"
    label = "app.kubernetes.io/instance={{ $c.release }}"
  }
}
{{- if $v.metrics.enabled }}

discovery.relabel "metrics" {
  targets = discovery.kubernetes.pods.targets

  rule {
    source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_scrape"]
    regex         = "true"
    action        = "keep"
  }
  // A pod is found once for each port of it; the one with metrics stays.
  rule {
    source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_port"]
    target_label  = "__meta_kubernetes_pod_container_port_number"
    action        = "keepequal"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_path"]
    regex         = "(.+)"
    target_label  = "__metrics_path__"
  }
  {{- include "observability.alloy.labels" $c | nindent 2 }}
}

prometheus.scrape "pods" {
  targets         = discovery.relabel.metrics.output
  forward_to      = [prometheus.remote_write.default.receiver]
  scrape_interval = {{ $v.scrapeInterval | quote }}
}

prometheus.remote_write "default" {
  {{- with $v.externalLabels }}
  external_labels = {{ toJson . }}
  {{- end }}
  endpoint {
    url = {{ $v.metrics.url | default (printf "%s/api/v1/write" (include "common.url" (list $c "victoria-metrics.http"))) | quote }}
    {{- include "observability.alloy.auth" (list $v.metrics "METRICS_PASSWORD") | nindent 4 }}
  }
}
{{- end }}
{{- if $v.logs.enabled }}

discovery.relabel "logs" {
  targets = discovery.kubernetes.pods.targets
  {{- include "observability.alloy.labels" $c | nindent 2 }}
}

loki.source.kubernetes "pods" {
  targets    = discovery.relabel.logs.output
  forward_to = [loki.write.default.receiver]
}

loki.write "default" {
  {{- with $v.externalLabels }}
  external_labels = {{ toJson . }}
  {{- end }}
  endpoint {
    url = {{ $v.logs.url | default (printf "%s/loki/api/v1/push" (include "common.url" (list $c "loki.http"))) | quote }}
    {{- include "observability.alloy.auth" (list $v.logs "LOGS_PASSWORD") | nindent 4 }}
  }
}
{{- end }}
{{- if or $v.metrics.enabled $v.logs.enabled $v.traces.enabled }}

otelcol.receiver.otlp "default" {
  grpc {
    endpoint = "0.0.0.0:{{ index $c.facts.ports "otlp-grpc" }}"
  }
  http {
    endpoint = "0.0.0.0:{{ index $c.facts.ports "otlp-http" }}"
  }
  output {
    {{- if $v.metrics.enabled }}
    metrics = [otelcol.processor.batch.default.input]
    {{- end }}
    {{- if $v.logs.enabled }}
    logs    = [otelcol.processor.batch.default.input]
    {{- end }}
    {{- if $v.traces.enabled }}
    traces  = [otelcol.processor.batch.default.input]
    {{- end }}
  }
}

otelcol.processor.batch "default" {
  output {
    {{- if $v.metrics.enabled }}
    metrics = [otelcol.exporter.prometheus.default.input]
    {{- end }}
    {{- if $v.logs.enabled }}
    logs    = [otelcol.exporter.loki.default.input]
    {{- end }}
    {{- if $v.traces.enabled }}
    traces  = [otelcol.exporter.otlphttp.default.input]
    {{- end }}
  }
}
{{- if $v.metrics.enabled }}

otelcol.exporter.prometheus "default" {
  forward_to = [prometheus.remote_write.default.receiver]
}
{{- end }}
{{- if $v.logs.enabled }}

otelcol.exporter.loki "default" {
  forward_to = [loki.write.default.receiver]
}
{{- end }}
{{- if $v.traces.enabled }}

otelcol.exporter.otlphttp "default" {
  client {
    endpoint = {{ $v.traces.url | default (include "common.url" (list $c "tempo.otlp-http")) | quote }}
  }
}
{{- end }}
{{- end }}
{{- end -}}

{{- define "observability.alloy.labels" -}}
rule {
  source_labels = ["__meta_kubernetes_namespace"]
  target_label  = "namespace"
}
rule {
  source_labels = ["__meta_kubernetes_pod_name"]
  target_label  = "pod"
}
rule {
  source_labels = ["__meta_kubernetes_pod_container_name"]
  target_label  = "container"
}
rule {
  source_labels = ["__meta_kubernetes_pod_label_app_kubernetes_io_name"]
  target_label  = "job"
}
{{- end -}}

{{/* A login. Takes (list $to "VARIABLE"). */}}
{{- define "observability.alloy.auth" -}}
{{- with (index . 0).username -}}
basic_auth {
  username = {{ . | quote }}
  password = sys.env("{{ index $ 1 }}")
}
{{- end }}
{{- end -}}
