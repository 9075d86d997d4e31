{{/* Kinds of stores whose certificates are to be trusted. JSON. */}}
{{- define "portal.trusted" -}}
{{- $kinds := list -}}
{{- range $kind, $store := .stores }}{{ if $store.caSecret }}{{ $kinds = append $kinds $kind }}{{ end }}{{ end -}}
{{- toJson $kinds -}}
{{- end -}}

{{/* The container that makes one file of several, since Portal reads one. */}}
{{- define "portal.joinCertificates" -}}
{{- $kinds := include "portal.trusted" . | fromJsonArray -}}
{{- if $kinds -}}
- name: join-certificates
  {{- include "common.image" (dict "c" . "image" .global.images.postgresql) | nindent 2 }}
  command: [sh, -c, 'for file; do cat "$file"; echo; done > /certificates/ca.crt', sh]
  args:
    {{- range $kinds }}
    - /etc/slipway/{{ . }}-ca/ca.crt
    {{- end }}
  {{- include "common.containerSecurity" . | nindent 2 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 32Mi}
  volumeMounts:
    - {name: certificates, mountPath: /certificates}
    {{- include "common.caMounts" . | nindent 4 }}
{{- end }}
{{- end -}}
