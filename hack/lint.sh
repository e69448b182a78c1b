#!/bin/sh
# lint.sh: everything that needs no test run to be seen.
set -eu
cd "$(dirname "$0")/.."
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
	echo "gofmt -w these files:" >&2
	echo "$unformatted" >&2
	exit 1
fi
for script in hack/*.sh .ci/run; do
	sh -n "$script"
done
# A value that reaches a shell is a command (the commonest hole of provisioning tools). Tests may run what they wrote.
if git grep -nE --untracked '"(/bin/)?(ba|da)?sh", *"-c"' -- '*.go' ':!*_test.go'; then
	echo "lint.sh: run a program with its arguments; never a shell" >&2
	exit 1
fi
go vet ./...
go tool -modfile=tools/go.mod golangci-lint run ./...
