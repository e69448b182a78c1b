#!/usr/bin/env bash
# Makes the installation medium of the demo: laid out as Debian media are, with zeros for a kernel, an
# initrd and a package, so that the simulated machines transfer real bytes. Needs xorriso. The result
# is committed; run this only to change it.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
boot=$root/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64
mkdir -p "$root/.disk" "$boot" "$root/pool/main/d/demo"
printf 'Debian GNU/Linux 13.0.0 "Trixie" - Rackseed demo medium amd64\n' >"$root/.disk/info"
printf 'Suite: stable\nCodename: trixie\nArchitectures: amd64\nComponents: main\n' >"$root/dists/trixie/Release"
truncate -s 2M "$boot/linux"
truncate -s 8M "$boot/initrd.gz"
truncate -s 4M "$root/pool/main/d/demo/demo_1.0_all.deb"
find "$root" -exec touch -d @1700000000 {} +
xorriso -as mkisofs -quiet -r -V 'Debian 13 demo' --modification-date=2023111422132000 \
  --set_all_file_dates 2023111422132000 -o "$root.iso" "$root"
gzip -9nc "$root.iso" >pkg/sim/medium.iso.gz
rm -f "$root.iso"
ls -l pkg/sim/medium.iso.gz
