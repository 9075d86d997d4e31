{{- define "observability.grafana.sources" -}}
{{- $c := . -}}
apiVersion: 1
datasources:
  {{- if not $c.facts.calls }} []{{ end }}
  {{- if has "victoria-metrics.http" $c.facts.calls }}
  - {name: Metrics, uid: metrics, type: prometheus, access: proxy, isDefault: true, url: {{ include "common.url" (list $c "victoria-metrics.http") | quote }}}
  {{- end }}
  {{- if has "loki.http" $c.facts.calls }}
  - {name: Logs, uid: logs, type: loki, access: proxy, url: {{ include "common.url" (list $c "loki.http") | quote }}}
  {{- end }}
  {{- if has "tempo.http" $c.facts.calls }}
  - {name: Traces, uid: traces, type: tempo, access: proxy, url: {{ include "common.url" (list $c "tempo.http") | quote }}}
  {{- end }}
{{- end -}}

{{- define "observability.grafana.folders" -}}
apiVersion: 1
providers:
  {{- if not .values.dashboards }} []{{ end }}
  {{- range $folder, $config := .values.dashboards }}
  - {name: {{ $folder | quote }}, folder: {{ $folder | quote }}, type: file, options: {path: {{ printf "/etc/slipway/dashboards/%s" $folder | quote }}}}
  {{- end }}
{{- end -}}
