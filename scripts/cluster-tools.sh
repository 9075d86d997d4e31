#!/bin/sh
# Builds programs of Kubernetes into bin/cluster, where tests find them. What is
# there is kept.
#   cluster-tools.sh       etcd, kube-apiserver, kube-controller-manager
#   cluster-tools.sh node  and what a machine needs whose pods really run:
#                          kube-scheduler, kubelet, kube-proxy, coredns
#   cluster-tools.sh traefik
#                          and the ingress controller of the support chart
set -eu
cd "$(dirname "$0")/.."
out=$PWD/bin/cluster
mkdir -p "$out"

version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' test/cluster/kubernetes/go.mod)
minor=$(echo "$version" | cut -d. -f2)

# build NAME MODULE PACKAGE LDFLAGS
build() {
	mark=$out/$1.built
	want=$(cat "test/cluster/$2/go.mod" "test/cluster/$2/go.sum" | cksum)
	if [ -x "$out/$1" ] && [ "$(cat "$mark" 2>/dev/null)" = "$want" ]; then
		return
	fi
	echo "cluster-tools: building $1 (the first time takes minutes)" >&2
	(cd "test/cluster/$2" && CGO_ENABLED=0 GOFLAGS= GOWORK=off go build -buildvcs=false -trimpath -ldflags "-s -w $4" -o "$out/$1" "$3")
	echo "$want" >"$mark"
}

# Without these the server calls itself v0.0.0, and clients take it for ancient.
component=k8s.io/component-base/version
build etcd etcd go.etcd.io/etcd/server/v3 ""
programs="kube-apiserver kube-controller-manager"
if [ "${1:-}" = node ]; then
	programs="$programs kube-scheduler kubelet kube-proxy"
	build coredns coredns . ""
fi
if [ "${1:-}" = traefik ]; then
	build traefik traefik github.com/traefik/traefik/v3/cmd/traefik ""
fi
for program in $programs; do
	build $program kubernetes k8s.io/kubernetes/cmd/$program \
		"-X $component.gitVersion=$version -X $component.gitMajor=1 -X $component.gitMinor=$minor -X $component.gitTreeState=clean -X $component.gitCommit=none -X $component.buildDate=1970-01-01T00:00:00Z"
done

# crd MODULE@VERSION FILE...: definitions of custom resources that the charts
# write, as their makers ship them. Go's checksum database vouches for them.
crd() {
	module=$1
	shift
	folder=
	for file in "$@"; do
		copy=$out/crds/$(echo "$module" | tr '/@' '__').$(basename "$file")
		if [ ! -f "$copy" ]; then
			[ -n "$folder" ] || folder=$(cd / && GOFLAGS= GOWORK=off go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
			[ -n "$folder" ] || { echo "cluster-tools: $module cannot be had" >&2; exit 1; }
			install -m 0644 "$folder/$file" "$copy.part"
			mv "$copy.part" "$copy"
		fi
		echo "$copy" >>"$out/crds/wanted"
	done
}

mkdir -p "$out/crds"
: >"$out/crds/wanted"
crd github.com/cert-manager/cert-manager@v1.21.2 deploy/crds/cert-manager.io_certificates.yaml
crd github.com/external-secrets/external-secrets@v1.3.2 config/crds/bases/external-secrets.io_externalsecrets.yaml
crd sigs.k8s.io/secrets-store-csi-driver@v1.4.8 deploy/secrets-store.csi.x-k8s.io_secretproviderclasses.yaml
crd github.com/prometheus-operator/prometheus-operator@v0.85.0 \
	example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml \
	example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml
crd github.com/argoproj/argo-cd/v3@v3.5.7 manifests/crds/application-crd.yaml manifests/crds/applicationset-crd.yaml manifests/crds/appproject-crd.yaml
crd sigs.k8s.io/gateway-api@v1.6.0 config/crd/standard/gateway.networking.k8s.io_httproutes.yaml config/crd/standard/gateway.networking.k8s.io_tlsroutes.yaml
crd github.com/kubernetes-csi/external-snapshotter/client/v8@v8.4.0 config/crd/snapshot.storage.k8s.io_volumesnapshotclasses.yaml
crd github.com/openshift/api@v0.0.0-20250710004639-926605d3338b route/v1/zz_generated.crd-manifests/routes.crd.yaml
crd istio.io/api@v1.28.0 kubernetes/customresourcedefinitions.gen.yaml
crd github.com/kubernetes-csi/external-snapshotter/client/v8@v8.4.0 \
	config/crd/snapshot.storage.k8s.io_volumesnapshots.yaml config/crd/snapshot.storage.k8s.io_volumesnapshotclasses.yaml
for file in "$out"/crds/*.yaml; do
	grep -qxF "$file" "$out/crds/wanted" || rm "$file" # of another version
done
