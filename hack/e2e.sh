#!/bin/sh
# e2e.sh [FLAG...]: the tests that take minutes each: real unattended installs. Their logs land in artifacts/.
set -eu
cd "$(dirname "$0")/.."
mkdir -p artifacts
PATH=$(hack/qemu.sh):$PATH
export PATH
ARTIFACTS=$PWD/artifacts go test -tags e2e -json -count=1 -p 1 -timeout 75m "$@" ./test/e2e/... | go run ./hack/testsummary
