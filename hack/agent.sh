#!/bin/sh
# agent.sh: builds the discovery agents that the rackseed binary embeds into pkg/discovery/agents/files: static, and the
# same bytes from the same source.
set -eu
cd "$(dirname "$0")/.."
files=pkg/discovery/agents/files
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for arch in amd64 arm64; do
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch ${GO:-go} build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o "$work/discover-$arch" ./cmd/rackseed-discover
	gzip -9n "$work/discover-$arch"
	# An agent that is the same keeps its time, so that nothing is built anew.
	cmp -s "$work/discover-$arch.gz" "$files/discover-$arch.gz" || mv "$work/discover-$arch.gz" "$files/"
done
