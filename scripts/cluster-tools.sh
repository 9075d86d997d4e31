#!/bin/sh
# Builds the programs of a Kubernetes control plane into bin/cluster, where
# tests find them: etcd, kube-apiserver and kube-controller-manager. What is
# there is kept.
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
for program in kube-apiserver kube-controller-manager; do
	build $program kubernetes k8s.io/kubernetes/cmd/$program \
		"-X $component.gitVersion=$version -X $component.gitMajor=1 -X $component.gitMinor=$minor -X $component.gitTreeState=clean -X $component.gitCommit=none -X $component.buildDate=1970-01-01T00:00:00Z"
done
