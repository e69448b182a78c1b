#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module for TIME, one after another.
set -eu
cd "$(dirname "$0")/.."
grep -rln '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
		echo "== $(dirname "$file") $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x "$(dirname "$file")"
	done
done
