#!/bin/sh
# Runs every fuzz target for FUZZTIME (30s).
set -eu
grep -rl --include='*_test.go' '^func Fuzz' internal cmd | while read -r file; do
	grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r target; do
		echo "fuzz: $target in ${file%/*}"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" "./${file%/*}" </dev/null
	done
done
