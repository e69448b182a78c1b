#!/bin/bash
# build.sh CACHE MEDIUM: makes CACHE/kickseed-KEY.iso from the Debian medium that mirror/build.sh made, and
# prints its path. Nothing is made when it is there.
#
# The medium calls itself AlmaLinux 8.10, so that Rackseed serves a kickstart to what boots from it. That is
# Debian's installer with Debian's own kickstart reader, kickseed, behind its initrd.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
module=$(cd "$here/../../.." && pwd)
cache=$(cd "$1" && pwd)
medium=$2

fail() { echo "kickseed: $*" >&2; exit 1; }
for tool in apt-get:apt cpio:cpio xorriso:xorriso; do
	command -v "${tool%%:*}" >/dev/null || fail "needs ${tool%%:*}: apt-get install ${tool##*:}"
done
exec 9>"$cache/lock"
flock 9
key=$({ cd "$here" && find . -type f | sort | xargs sha256sum; basename "$medium"; } | sha256sum | cut -c1-12)
iso=$cache/kickseed-$key.iso
if [ -s "$iso" ]; then
	echo "$iso"
	exit
fi
work=$cache/kickseed
rm -rf "$work"
mkdir -p "$work/initrd" "$work/images/pxeboot" "$work/repodata"

for udeb in initrd-kickseed kickseed-common; do
	dpkg-deb -x "$module/$("$module/hack/trixie.sh" $udeb)" "$work/initrd"
done
# kickseed runs %pre before the installer has fetched drivers of disks, anaconda after.
xorriso -osirrox on -indev "$medium" -extract /pool/own "$work/own" 2>"$work/xorriso.log" || fail "$(tail -3 "$work/xorriso.log")"
dpkg-deb -x "$work"/own/disk-modules-*.udeb "$work/drivers"
(cd "$work/drivers" && find usr/lib/modules -name 'virtio_blk.ko*' | cpio --quiet -pd "$work/initrd")
# A folder /lib would take the place of the link that the installer has there.
mv "$work"/initrd/lib/* "$work/initrd/usr/lib/"
rmdir "$work/initrd/lib"
cp -a "$here/initrd/." "$work/initrd/"
netboot=/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64
xorriso -osirrox on -indev "$medium" -extract "$netboot/linux" "$work/images/pxeboot/vmlinuz" \
	-extract "$netboot/initrd.gz" "$work/images/pxeboot/initrd.img" 2>"$work/xorriso.log" || fail "$(tail -3 "$work/xorriso.log")"
chmod u+w "$work"/images/pxeboot/*
(cd "$work/initrd" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -9n) >>"$work/images/pxeboot/initrd.img"

# What Rackseed looks for on a medium of this family; this installer fetches neither.
echo "no stage 2" >"$work/images/install.img"
echo '<repomd xmlns="http://linux.duke.edu/metadata/repo"/>' >"$work/repodata/repomd.xml"
cat >"$work/treeinfo" <<-TREE
	[general]
	family = AlmaLinux
	version = 8.10
	arch = x86_64
	[images-x86_64]
	kernel = images/pxeboot/vmlinuz
	initrd = images/pxeboot/initrd.img
	[stage2]
	mainimage = images/install.img
TREE
rm -f "$cache"/kickseed-*.iso "$iso.part"
xorriso -indev "$medium" -outdev "$iso.part" -volid AlmaLinux-8-10-x86_64-dvd -joliet on \
	-map "$work/images" /images -map "$work/repodata" /repodata -map "$work/treeinfo" /.treeinfo \
	2>"$work/xorriso.log" || fail "xorriso failed: $(tail -3 "$work/xorriso.log")"
mv "$iso.part" "$iso"
rm -rf "$work"
echo "$iso"
