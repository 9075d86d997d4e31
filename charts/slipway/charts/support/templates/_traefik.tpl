{{/* What can be said in a file alone: which TLS, and from where requests are taken. */}}
{{- define "traefik.dynamic" -}}
{{- $v := .values }}{{ $allowed := .global.expose.allowedCIDRs -}}
tls:
  options:
    default: {minVersion: {{ $v.minTLSVersion }}}
{{- if $allowed }}
http:
  middlewares:
    # Ingresses name it in an annotation.
    allowed:
      ipAllowList:
        sourceRange: {{ toJson $allowed }}
        {{- with $v.trustedProxies }}
        ipStrategy: {excludedIPs: {{ toJson . }}}
        {{- end }}
{{- end }}
{{- end -}}

{{/* Combinations that would not do what they say. */}}
{{- define "traefik.check" -}}
{{- $g := .global }}{{ $type := .values.service.type -}}
{{- if ne $g.expose.type "ingress" -}}
{{- fail (printf "global.expose.type: must be ingress, because global.expose.controller.enabled is true and the controller reads Ingresses; it is %s" $g.expose.type) -}}
{{- end -}}
{{- if ne $g.mesh.type "none" -}}
{{- fail (printf "global.expose.controller.enabled: a mesh (global.mesh.type: %s) has a gateway of its own, and admits no others; set global.expose.type: istio" $g.mesh.type) -}}
{{- end -}}
{{- $quota := dict "LoadBalancer" "services.loadbalancers" "NodePort" "services.nodeports" -}}
{{- with get $quota $type -}}
{{- if and $g.tenant.enabled (eq (get $g.tenant.quota . | toString) "0") -}}
{{- fail (printf "support.ingress.service.type: is %s, of which global.tenant.quota allows this tenant none (%s); take ClusterIP, behind a load balancer of the cluster's, or allow one" $type .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
