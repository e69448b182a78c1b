#!/bin/bash
# root.sh CACHE: makes CACHE/debian-KEY.tar, a small installed Debian of this machine's own release,
# and prints its path. Nothing is made when it is there; KEY is the hash of this file.
#
# What a bundle would install lies in the root's own package cache, so that it installs without a
# network, as in a machine room that has its mirror.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$(mkdir -p "$1" && cd "$1" && pwd)

say() { echo "bundle root: $*" >&2; }
fail() { say "$*"; exit 1; }

[ "$(id -u)" = 0 ] || fail "needs root"
for tool in debootstrap:debootstrap apt-get:apt unshare:util-linux; do
	command -v "${tool%%:*}" >/dev/null || fail "needs ${tool%%:*}: apt-get install ${tool##*:}"
done
exec 9>"$cache/lock"
flock 9
root=$cache/debian-$(sha256sum "$here/root.sh" | cut -c1-12).tar
if [ -s "$root" ]; then
	echo "$root"
	exit
fi

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || fail "needs $keyring: apt-get install debian-archive-keyring"
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
site=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SITE)' |
	awk -v release="$codename" '$1 == release && $2 == "main" {print $3; exit}')
[ -n "$site" ] || fail "apt has no source for Debian '$codename' main"

work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
say "debootstrap of $codename, a few minutes once"
# With the archive's own settings for proxies, as apt has them.
proxy=$(apt-config shell proxy Acquire::http::Proxy)
[ -z "$proxy" ] || { eval "$proxy" && export http_proxy=$proxy; }
unshare --mount --uts --pid --fork debootstrap --variant=minbase --keyring=$keyring \
	--include=systemd,systemd-sysv,openssh-server,python3-minimal,python3,sudo,curl,irqbalance,lvm2,procps,iproute2,udev,kmod \
	"$codename" "$work/root" "$site" >"$cache/debootstrap.log" 2>&1 ||
	fail "debootstrap failed: $(tail -n 3 "$cache/debootstrap.log")"
chroot "$work/root" apt-get -qq --yes --no-install-recommends --download-only install chrony tuned >>"$cache/debootstrap.log" 2>&1 ||
	fail "cannot download: $(tail -n 3 "$cache/debootstrap.log")"
tar -C "$work/root" --numeric-owner --one-file-system -cf "$root.part" .
mv "$root.part" "$root"
say "$(du -h "$root" | cut -f1)"
echo "$root"
