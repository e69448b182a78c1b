#!/bin/sh
# npm.sh: what drives the page in tests, as package-lock.json pins it. Nothing of it is in the binary.
set -eu
cd "$(dirname "$0")/../test/web"
if ! command -v npm >/dev/null; then
	echo "npm.sh: no npm: apt install npm" >&2
	exit 1
fi
# npm keeps no copy of the lock file that a program could compare: this one is ours.
cmp -s package-lock.json node_modules/.installed-from && exit 0
npm ci --no-audit --no-fund --omit=optional --loglevel=error
cp package-lock.json node_modules/.installed-from
