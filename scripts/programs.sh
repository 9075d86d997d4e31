#!/bin/sh
# Builds programs of others that the charts run, from their makers' source, into
# bin/programs. What is there is kept. Each has a module below test/programs,
# whose go.sum vouches for the source.
#   programs.sh [NAME...]
set -eu
cd "$(dirname "$0")/.."
out=$PWD/bin/programs
mkdir -p "$out"

[ $# -gt 0 ] || set -- $(ls test/programs)
for name; do
	folder=test/programs/$name
	want=$(cat "$folder"/* | cksum)
	if [ -x "$out/$name" ] && [ "$(cat "$out/$name.built" 2>/dev/null)" = "$want" ]; then
		continue
	fi
	echo "programs: building $name (the first time takes minutes)" >&2
	package=$(awk '$1 == "tool" { print $2; exit }' "$folder/go.mod")
	# Some cannot be compiled by the newest Go.
	toolchain=$(awk '$1 == "//toolchain" { print $2; exit }' "$folder/go.mod")
	(cd "$folder" && CGO_ENABLED=0 GOFLAGS="${PROGRAMS_GOFLAGS:-}" GOWORK=off GOTOOLCHAIN="${toolchain:-auto}" \
		go build -buildvcs=false -trimpath -ldflags "-s -w" -o "$out/$name" "${package:-.}")
	echo "$want" >"$out/$name.built"
done
