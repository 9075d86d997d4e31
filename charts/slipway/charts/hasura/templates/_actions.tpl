{{- define "hasura.actionsJob" -}}
{{- $url := include "common.url" (list . "hasura.http") -}}
backoffLimit: 6
template:
  metadata:
    {{- include "common.podMetadata" . | nindent 4 }}
  spec:
    {{- include "common.podSpec" . | nindent 4 }}
    restartPolicy: OnFailure
    initContainers:
      - name: wait-for-hasura
        {{- include "common.waitContainer" . | nindent 8 }}
        args: [wait, --timeout={{ .global.waitTimeout }}, {{ $url }}/healthz]
    containers:
      - name: actions
        {{- include "common.waitContainer" . | nindent 8 }}
        args: [hasura-actions, --url={{ $url }}]
        env:
          {{- include "hasura.adminSecretEnv" . | nindent 10 }}
{{- end -}}
