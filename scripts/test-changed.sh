#!/bin/sh
# Tests the packages with Go files that differ from the last commit.
set -eu
changed=$(git status --porcelain --untracked-files=all -- '*.go' | sed 's/^...//; s/.* -> //' | xargs -r -n1 dirname | sort -u)
for dir in $changed; do
	[ -d "$dir" ] && set -- "$@" "./$dir"
done
[ $# -eq 0 ] || go test -race "$@"
