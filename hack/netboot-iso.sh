#!/bin/sh
# netboot-iso.sh: makes .cache/debian-13-netboot.iso, a medium with the kernel and initrd of Debian 13's
# installer where Debian's own media and mirrors have them, and prints its path. Packages are not on it.
set -eu
cd "$(dirname "$0")/.."
iso=.cache/debian-13-netboot.iso
if [ -r $iso ]; then
	echo "$PWD/$iso"
	exit 0
fi
command -v xorriso >/dev/null || {
	echo "netboot-iso.sh: needs xorriso: apt-get install xorriso" >&2
	exit 1
}
deb=$(hack/trixie.sh debian-installer-13-netboot-amd64)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" --wildcards '*/text/debian-installer/amd64/linux' '*/text/debian-installer/amd64/initrd.gz'
rm "$deb"
found=$(dirname "$(find "$work" -name linux)")
boot=$work/medium/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64
mkdir -p "$boot" "$work/medium/.disk"
cp "$found/linux" "$found/initrd.gz" "$boot/"
echo 'Debian GNU/Linux 13 "Trixie" - Official amd64 NETINST' >"$work/medium/.disk/info"
xorriso -as mkisofs -quiet -r -J -V 'Debian 13 amd64 n' -o "$work/iso" "$work/medium" >&2
mv "$work/iso" $iso
echo "$PWD/$iso"
