{{/* Lets peers elsewhere in and out, besides those of the table of components. Takes $c, and changes its values. */}}
{{- define "besu.peeringPolicy" -}}
{{- $peering := .values.peering }}{{ $policy := .values.networkPolicy -}}
{{- if ne $peering.type "none" -}}
  {{- $quota := eq $peering.type "LoadBalancer" | ternary "services.loadbalancers" "services.nodeports" -}}
  {{- if and .global.tenant.enabled (eq (get .global.tenant.quota $quota | toString) "0") -}}
    {{- fail (printf "network.validator.peering.type: is %s, of which global.tenant.quota allows this tenant none (%s)" $peering.type $quota) -}}
  {{- end -}}
  {{- $ports := include "common.policyPorts" (list "p2p" .facts.ports.p2p) | fromYamlArray -}}
  {{- $in := dict "ports" $ports -}}
  {{- with $peering.networks }}{{ $_ := set $in "from" (include "common.cidrs" . | fromYamlArray) }}{{ end -}}
  {{- $out := dict "ports" $ports "to" (include "common.cidrs" ($peering.networks | default .global.networkPolicy.externalCIDRs) | fromYamlArray) -}}
  {{- $_ := set $policy "extraIngress" (prepend $policy.extraIngress $in) -}}
  {{- $_ := set $policy "extraEgress" (prepend $policy.extraEgress $out) -}}
{{- end -}}
{{- end -}}

{{/* The Service by which nodes elsewhere reach one node. Takes (list $c "name" $own). */}}
{{- define "besu.peerService" -}}
{{- $c := index . 0 }}{{ $name := index . 1 }}{{ $own := index . 2 }}{{ $peering := $c.values.peering -}}
{{- $balanced := eq $peering.type "LoadBalancer" -}}
---
# For nodes elsewhere. Those of this cluster go straight to the pod.
apiVersion: v1
kind: Service
metadata:
  {{- include "common.metadata" (list $c (printf "%s-peers" $name)) | nindent 2 }}
  {{- with merge (dict) ($own.annotations | default dict) $peering.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $peering.type }}
  externalTrafficPolicy: Local
  # Nodes become ready by finding each other.
  publishNotReadyAddresses: true
  {{- if $balanced }}
  {{- with $peering.loadBalancerClass }}
  loadBalancerClass: {{ . }}
  {{- end }}
  {{- with $own.address }}
  loadBalancerIP: {{ . | quote }}
  {{- end }}
  {{- with $peering.networks }}
  loadBalancerSourceRanges:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  selector:
    {{- include "common.selectorLabels" $c | nindent 4 }}
    slipway.io/node: {{ $name }}
  ports:
    {{- $at := "" }}{{ with $own.nodePort }}{{ $at = printf ", nodePort: %d" (int .) }}{{ end }}
    - {name: p2p, port: {{ $c.facts.ports.p2p }}, targetPort: p2p{{ $at }}}
    - {name: discovery, port: {{ $c.facts.ports.p2p }}, targetPort: discovery, protocol: UDP{{ $at }}}
{{- end -}}
