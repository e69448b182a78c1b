#!/bin/sh
# bench.sh [FLAG...]: load beside the peers, in network namespaces of its own, printed as ratios.
# `go run ./bench -help` lists the flags; the Go benchmarks are `go test -bench . ./pkg/...`.
set -eu
cd "$(dirname "$0")/.."
exec go run ./bench "$@"
