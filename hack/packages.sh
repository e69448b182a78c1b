#!/bin/sh
# packages.sh fast|slow: the packages of each half of `make test`. Slow ones boot machines.
set -eu
cd "$(dirname "$0")/.."
slow='/(internal/lab|test)(/|$)'
case $1 in
fast) go list -f '{{.ImportPath}}' ./... | grep -Ev "$slow" ;;
slow) go list -f '{{.ImportPath}}' ./... | grep -E "$slow" ;;
esac
