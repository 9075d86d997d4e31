{{/* spec of the job. Takes (list $c $image). */}}
{{- define "dapp.setup" -}}
{{- $c := index . 0 }}{{ $setup := $c.values.setup -}}
backoffLimit: 6
template:
  metadata:
    {{- include "common.podMetadata" $c | nindent 4 }}
  spec:
    {{- include "common.podSpec" $c | nindent 4 }}
    restartPolicy: OnFailure
    {{- include "common.initContainers" $c | nindent 4 }}
      - name: wait-for-hasura
        {{- include "common.waitContainer" $c | nindent 8 }}
        args: [wait, --timeout={{ $c.global.waitTimeout }}, {{ include "common.url" (list $c "hasura.http") | printf "%s/healthz" | quote }}]
    containers:
      - name: setup
        {{- include "common.image" (dict "c" $c "image" (index . 1)) | nindent 8 }}
        command: {{ $setup.command | toJson }}
        workingDir: {{ $setup.workingDir }}
        env:
          {{- include "dapp.env" $c | nindent 10 }}
          {{- include "common.extraEnv" $c | nindent 10 }}
        {{- include "common.resources" $c | nindent 8 }}
        {{- include "common.containerSecurity" $c | nindent 8 }}
        volumeMounts:
          - {name: tmp, mountPath: /tmp}
          {{- include "common.caMounts" $c | nindent 10 }}
          {{- include "common.extraVolumeMounts" $c | nindent 10 }}
    volumes:
      - {name: tmp, emptyDir: {}}
      {{- include "common.caVolumes" $c | nindent 6 }}
      {{- include "common.extraVolumes" $c | nindent 6 }}
{{- end -}}
