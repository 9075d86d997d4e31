#!/bin/sh
# Fails when a generated file is older than its source. It compares the tree
# before and after, so that changes that are not committed yet do not count.
set -eu
before=$(git diff | git hash-object --stdin)
go generate ./...
if [ "$before" != "$(git diff | git hash-object --stdin)" ]; then
	echo "check: generated files were out of date; they are fresh now, look at git diff" >&2
	exit 1
fi
