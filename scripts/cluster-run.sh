#!/bin/sh
# Runs a command beside a Kubernetes whose pods really run; see test/clusternode.
#   cluster-run.sh COMMAND [ARGUMENT...]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/bin/cluster
mkdir -p "$out/logs"
(cd "$root" && go build -buildvcs=false -o "$out/clusternode" ./test/clusternode)
exec "$out/clusternode" -programs "$out" -logs "$out/logs" -image "$out/stores.tar" -image "$out/programs.tar" -- "$@"
