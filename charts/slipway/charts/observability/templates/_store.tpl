{{/* StatefulSet of a program that keeps data below /data, all in one. Takes (dict "c" $c "args" (list ...) "ready" "/ready" "config" "text or empty"). */}}
{{- define "observability.store" }}
{{- $c := .c }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "common.metadata" $c | nindent 2 }}
spec:
  serviceName: {{ $c.name }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "common.selectorLabels" $c | nindent 6 }}
  template:
    metadata:
      {{- include "common.podMetadata" (list $c .config) | nindent 6 }}
    spec:
      {{- include "common.podSpec" $c | nindent 6 }}
      {{- include "common.initContainers" $c | nindent 6 }}
      terminationGracePeriodSeconds: 60
      containers:
        - name: {{ $c.name }}
          {{- include "common.image" (dict "c" $c "image" $c.values.image) | nindent 10 }}
          args: {{ .args | toJson }}
          {{- include "common.containerPorts" $c | nindent 10 }}
          env:
            {{- include "common.extraEnv" $c | nindent 12 }}
          {{- include "common.resources" $c | nindent 10 }}
          {{- include "common.containerSecurity" $c | nindent 10 }}
          livenessProbe:
            tcpSocket: {port: http}
            periodSeconds: 20
          readinessProbe:
            {{- include "common.httpGet" (list $c "http" .ready) | nindent 12 }}
            periodSeconds: 10
          volumeMounts:
            - {name: data, mountPath: /data}
            - {name: tmp, mountPath: /tmp}
            {{- if .config }}
            - {name: config, mountPath: /etc/slipway, readOnly: true}
            {{- end }}
            {{- include "common.extraVolumeMounts" $c | nindent 12 }}
      volumes:
        - {name: tmp, emptyDir: {}}
        {{- if .config }}
        - name: config
          configMap: {name: {{ $c.name }}}
        {{- end }}
        {{- include "common.extraVolumes" $c | nindent 8 }}
  volumeClaimTemplates:
    - {{- include "common.claimTemplate" (list $c "data") | nindent 6 }}
{{- if .config }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "common.metadata" $c | nindent 2 }}
data:
  {{ $c.name }}.yaml: |
    {{- .config | nindent 4 }}
{{- end }}
{{ include "common.serviceAccount" $c }}
{{ include "common.service" $c }}
{{ include "common.networkPolicy" $c }}
{{ include "common.monitor" $c }}
{{- end -}}
