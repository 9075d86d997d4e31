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
  {{- if regexMatch "^[0-9]s$" $v.scrapeInterval }}
  // It is 10s, and must not be longer.
  scrape_timeout = {{ $v.scrapeInterval | quote }}
  {{- end }}
}

prometheus.remote_write "default" {
  {{- include "observability.alloy.externalLabels" $c | nindent 2 }}
  endpoint {
    url = {{ $v.metrics.url | default (printf "%s/api/v1/write" (include "common.url" (list $c "victoria-metrics.http"))) | quote }}
    {{- with $v.metrics.tenant }}
    headers = {"X-Scope-OrgID" = {{ quote . }}}
    {{- end }}
    {{- include "observability.alloy.login" (list "metrics" $v.metrics) | nindent 4 }}
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
  {{- include "observability.alloy.externalLabels" $c | nindent 2 }}
  endpoint {
    url = {{ $v.logs.url | default (printf "%s/loki/api/v1/push" (include "common.url" (list $c "loki.http"))) | quote }}
    {{- with $v.logs.tenant }}
    tenant_id = {{ quote . }}
    {{- end }}
    {{- include "observability.alloy.login" (list "logs" $v.logs) | nindent 4 }}
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
{{- $token := include "observability.alloy.tokenFile" (list "traces" $v.traces) }}
{{- if $v.traces.username }}

otelcol.auth.basic "traces" {
  username = {{ quote $v.traces.username }}
  password = sys.env("TRACES_PASSWORD")
}
{{- else if $token }}

local.file "traces_token" {
  filename  = {{ quote $token }}
  is_secret = true
}

otelcol.auth.bearer "traces" {
  token = local.file.traces_token.content
}
{{- end }}

otelcol.exporter.otlphttp "default" {
  client {
    endpoint = {{ $v.traces.url | default (include "common.url" (list $c "tempo.otlp-http")) | quote }}
    {{- with $v.traces.tenant }}
    headers = {"X-Scope-OrgID" = {{ quote . }}}
    {{- end }}
    {{- if or $v.traces.username $token }}
    auth = otelcol.auth.{{ empty $v.traces.username | ternary "bearer" "basic" }}.traces.handler
    {{- end }}
    {{- with $v.traces.caFile }}
    tls {
      ca_file = {{ quote . }}
    }
    {{- end }}
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

{{/* Labels of all metrics and logs: who a tenant is, and those of the values. Takes $c. */}}
{{- define "observability.alloy.externalLabels" -}}
{{- $labels := .global.tenant.enabled | ternary (dict "client" .global.tenant.client "environment" .global.tenant.environment) dict -}}
{{- with merge (dict) .values.externalLabels $labels -}}
external_labels = {
  {{- range $name, $value := . }}
  {{ quote $name }} = {{ quote $value }},
  {{- end }}
}
{{- end }}
{{- end -}}

{{/* How an endpoint is logged in to and trusted. Takes (list "metrics" $to). */}}
{{- define "observability.alloy.login" -}}
{{- $name := index . 0 }}{{ $to := index . 1 -}}
{{- if $to.username -}}
basic_auth {
  username = {{ quote $to.username }}
  password = sys.env("{{ upper $name }}_PASSWORD")
}
{{- else }}
{{- with include "observability.alloy.tokenFile" . }}
bearer_token_file = {{ quote . }}
{{- end }}
{{- end }}
{{- with $to.caFile }}
tls_config {
  ca_file = {{ quote . }}
}
{{- end }}
{{- end -}}

{{/* File with the token that is shown, which is read again when it changes. Takes (list "metrics" $to). */}}
{{- define "observability.alloy.tokenFile" -}}
{{- $name := index . 0 }}{{ $to := index . 1 -}}
{{- if and $to.tokenFile (or $to.username $to.existingSecret) -}}
{{- fail (printf "observability.alloy.%s.tokenFile: there is a login already, in existingSecret" $name) -}}
{{- end -}}
{{- if $to.tokenFile }}{{ $to.tokenFile }}{{ else if and $to.existingSecret (not $to.username) }}/run/secrets/slipway/{{ $name }}/token{{ end -}}
{{- end -}}
