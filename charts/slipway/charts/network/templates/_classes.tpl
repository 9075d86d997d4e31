{{/* Name of the release's own classes. */}}
{{- define "network.className" -}}
{{ printf "%s-%s" .namespace .release }}
{{- end -}}

{{/* Refuses a class that cannot be. Takes (list $c "network.storageClass" "provisioner" $class). */}}
{{- define "network.checkClass" -}}
{{- $c := index . 0 }}{{ $path := index . 1 }}{{ $driver := index . 2 -}}
{{- if $c.global.tenant.enabled -}}
{{- fail (printf "%s.enabled: is refused with global.tenant.enabled, because a class is an object of the whole cluster; name one that is there" $path) -}}
{{- end -}}
{{- if not (get (index . 3) $driver) -}}
{{- fail (printf "%s.%s: is needed, because nobody else knows which driver the cluster has" $path $driver) -}}
{{- end -}}
{{- end -}}

{{/* Lets nodes that name no class have the release's own. Takes (list $c $storageClass), and changes $c. */}}
{{- define "network.useStorageClass" -}}
{{- $c := index . 0 }}{{ $persistence := $c.values.persistence -}}
{{- if (index . 1).enabled }}{{ $_ := set $persistence "storageClass" ($persistence.storageClass | default (include "network.className" $c)) }}{{ end -}}
{{- end -}}
