#!/bin/sh
# Makes the images that pods of the cluster tests run, as archives in bin/cluster:
# there is no registry. PostgreSQL and Redis are Debian's, and made once; the
# programs of this repository are built each time.
set -eu
cd "$(dirname "$0")/.."
out=$PWD/bin/cluster
flags=-buildvcs=false
mkdir -p "$out/image"

go build $flags -o "$out/clusterimages" ./test/clusterimages
CGO_ENABLED=0 go build $flags -trimpath -ldflags "-s -w" -o "$out/image/" ./cmd/...
CGO_ENABLED=0 go build $flags -trimpath -ldflags "-s -w" -o "$out/besu" ./test/besustandin

# image REPOSITORY: the name that the charts give it where all images come from one registry.
image() {
	"$out/image/slipway" images list --set global.imageRegistry=slipway.test | grep "^slipway.test/$1:"
}
"$out/clusterimages" programs "$out/image" "$out/besu" "$(image slipwayhq/slipway)" "$(image hyperledger/besu)" "$out/programs.tar"

packages=postgresql-15,redis-server
postgres=$(image library/postgres) redis=$(image library/redis)
want=$( (cat test/clusterimages/* scripts/cluster-images.sh && echo "$postgres $redis") | cksum)
if [ "$(cat "$out/stores.built" 2>/dev/null)" != "$want" ]; then
	echo "cluster-images: fetching PostgreSQL and Redis from Debian (two minutes, the first time)" >&2
	rootfs=$(mktemp -d)
	trap 'rm -rf "$rootfs"' EXIT
	mmdebstrap --quiet --variant=essential --include=$packages \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		bookworm "$rootfs/rootfs.tar"
	"$out/clusterimages" stores "$rootfs/rootfs.tar" "$postgres" "$redis" "$out/stores.tar"
	echo "$want" >"$out/stores.built"
fi
