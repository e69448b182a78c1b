#!/bin/sh
# bench.sh: every Go benchmark of the module; those under test/bench run beside their peers.
set -eu
cd "$(dirname "$0")/.."
go test -run '^$' -bench . -benchmem -timeout 60m ./...
