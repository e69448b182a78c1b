#!/bin/sh
# screenshots.sh DIR: pictures of every page of the demo at 1280 and 1920 pixels and on a phone, and of
# the first minute of a daemon without a plan.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
dir=$(cd "$1" && pwd)
work=$(mktemp -d)
pids=
cleanup() {
	for p in $pids; do kill "$p" 2>/dev/null || true; done
	wait
	rm -rf "$work"
}
trap cleanup EXIT

address() { # FILE: waits until a daemon has said where its page is
	for _ in $(seq 150); do
		url=$(grep -oE 'http://127\.0\.0\.1:[0-9]+/' "$1" | head -n 1) && [ -n "$url" ] && echo "$url" && return
		sleep 0.2
	done
	echo "screenshots.sh: no address in $1" >&2
	return 1
}

go build -o "$work/rackseed" ./cmd/rackseed
"$work/rackseed" demo --nodes 36 --speed 12 --fault ambiguous-disk=2 --fault crash --fault slow-disk --fault deviation >"$work/demo" 2>&1 &
pids="$pids $!"
"$work/rackseed" serve --state "$work/empty" --interface ask --operator 127.0.0.1:0 >"$work/serve" 2>&1 &
pids="$pids $!"
demo=$(address "$work/demo")
empty=$(address "$work/serve")
cd test/web
node screenshots.mjs "$demo" "$empty" "$dir"
