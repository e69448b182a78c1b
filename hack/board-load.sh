#!/bin/sh
# board-load.sh [SECONDS]: 16,000 machines, 500 state changes a second, one viewer.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
go build -o "$work/bigsite" ./test/web/bigsite
"$work/bigsite" --nodes 16000 --rate 500 >"$work/out" &
pid=$!
trap 'kill $pid 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do
	url=$(head -n 1 "$work/out") && [ -n "$url" ] && break
	sleep 0.2
done
(cd test/web && node load.mjs "$url" "${1:-60}")
kill -INT $pid
wait $pid || true
tail -n 1 "$work/out"
