#!/bin/sh
# screenshots.sh DIR: pictures of every page and state of the page at 1280 and 1920 pixels and on a phone, in
# English and Chinese, light and dark: of the demo, of a daemon without a plan, and of one that wants a login.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
dir=$(cd "$1" && pwd)
[ -n "${ONLY:-}" ] || rm -f "$dir"/*.png
work=$(mktemp -d)
pids=
cleanup() {
	for p in $pids; do kill "$p" 2>/dev/null || true; done
	wait
	rm -rf "$work"
}
trap cleanup EXIT

address() { # FILE PATTERN: waits until a daemon has said where its page is
	for _ in $(seq 300); do
		url=$(grep -oE "$2" "$1" | head -n 1) && [ -n "$url" ] && echo "$url" && return
		sleep 0.2
	done
	echo "screenshots.sh: no address in $1" >&2
	return 1
}

go build -o "$work/rackseed" ./cmd/rackseed
cat >"$work/site.yaml" <<'END'
site: guangzhou-a
domain: gz.example.net
access: {root: locked, ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRlbW8gb2YgcmFja3NlZWQsIG5vdCBhIHJlYWwga2V5 ops]}
provision: {network: provision, dhcp: server}
networks: {provision: {subnet: 127.20.0.0/16, gateway: 127.20.0.1}}
images: {rocky9: {file: rocky9.iso}}
roles: {compute: {profile: base, image: rocky9, networks: {provision: nic1}}}
nodes:
  - {name: n1, role: compute, mac: "52:54:00:00:00:01", addresses: {provision: 127.20.1.1}, rack: A01, u: 1}
  - {name: n2, role: compute, mac: "52:54:00:00:00:02", addresses: {provision: 127.20.1.2}, rack: A01, u: 2}
END
echo "the wall may look at it" >"$work/viewer"
echo "wei turns the machines on" >"$work/operator"
state="$work/guarded"
"$work/rackseed" --state "$state" plan apply "$work/site.yaml" >/dev/null
"$work/rackseed" --state "$state" operator add wall --role viewer --password-file "$work/viewer" >/dev/null
"$work/rackseed" --state "$state" operator add wei --role operator --password-file "$work/operator" >/dev/null
"$work/rackseed" serve --state "$state" --interface ask --operator 0.0.0.0:0 >"$work/guard" 2>&1 &
pids="$pids $!"
"$work/rackseed" serve --state "$work/empty" --interface ask --operator 127.0.0.1:0 >"$work/serve" 2>&1 &
pids="$pids $!"
guarded=$(address "$work/guard" 'https://[^ ]*:[0-9]+/' | sed 's,//[^/]*:,//localhost:,')
empty=$(address "$work/serve" 'http://127\.0\.0\.1:[0-9]+/')
"$work/rackseed" demo --nodes 36 --speed 12 --fault ambiguous-disk=2 --fault crash --fault slow-disk --fault deviation >"$work/demo" 2>&1 &
pids="$pids $!"
demo=$(address "$work/demo" 'http://127\.0\.0\.1:[0-9]+/')
cd test/web
node screenshots.mjs "$demo" "$empty" "$guarded" "$dir"
