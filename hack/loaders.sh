#!/bin/sh
# loaders.sh: fetches the iPXE boot loaders that the binary embeds into pkg/ipxe/loaders/files.
# They are GPL and built by Debian; git holds none of them. Nothing is fetched when they are there.
set -eu
cd "$(dirname "$0")/.."

version=1.21.1+git20250501.dad20602+dfsg-1
sha256=eeaca79dbde0fb86c102bf1d362c6f6a67ed0ddab38b3dd12e1b332339f5dd99
loaders="undionly.kpxe ipxe.pxe snponly.efi ipxe-amd64.efi ipxe-arm64.efi"
files=pkg/ipxe/loaders/files

if [ -r $files/ORIGIN ] && grep -q "$sha256" $files/ORIGIN &&
	(cd $files && sed -n 's/^  //p' ORIGIN | sha256sum --check --status); then
	exit 0
fi

deb=$(hack/trixie.sh ipxe "$version") || {
	echo "loaders.sh: no boot loaders. A build without them looks in the folder of \`rackseed serve --loaders DIR\`." >&2
	exit 1
}
echo "$sha256  $deb" | sha256sum --check --quiet || {
	echo "loaders.sh: $deb is not the package that was reviewed; nothing was taken from it" >&2
	exit 1
}

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
dpkg-deb -x "$deb" "$unpacked"
for name in $loaders; do
	install -m 644 "$unpacked/usr/lib/ipxe/$name" $files/
done
install -m 644 "$unpacked/usr/share/doc/ipxe/copyright" $files/LICENSE
{
	echo "iPXE $version, built by Debian (package ipxe of Debian 13)"
	echo "package sha256 $sha256"
	echo "licence: GPL-2 with UBDL, see LICENSE; source: apt-get source ipxe=$version on Debian 13"
	echo "files:"
	# shellcheck disable=SC2086
	(cd $files && sha256sum $loaders LICENSE) | sed 's/^/  /'
} >$files/ORIGIN
echo "loaders: iPXE $version in $files"
