#!/bin/sh
# reproducible.sh BUILD-COMMAND...: builds in two different folders and compares the binaries.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/elsewhere"
cp -r go.mod go.sum cmd pkg "$work/elsewhere/"
for d in internal profiles web; do
	[ ! -d $d ] || cp -r $d "$work/elsewhere/"
done
env "$@" -a -o "$work/one" ./cmd/rackseed
(cd "$work/elsewhere" && env "$@" -a -o "$work/two" ./cmd/rackseed)
(cd "$work" && sha256sum one two)
cmp "$work/one" "$work/two"
echo "reproducible: both builds are equal"
