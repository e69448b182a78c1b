#!/bin/bash
# build.sh CACHE: makes CACHE/debian-13-KEY.iso, a small Debian 13 medium for network installs, and
# prints its path. Nothing is made when it is there; KEY is the hash of this folder.
#
# The medium is a partial mirror (packages and stanzas as the archive has them, indices of our own)
# with the netboot kernel and initrd at the place where a Debian mirror keeps them. It is unsigned,
# like a Debian DVD.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$(mkdir -p "$1" && cd "$1" && pwd)
suite=trixie

say() { echo "mirror: $*" >&2; }
fail() { say "$*"; exit 1; }
list() { sed 's/#.*//' "$here/$1" | tr -s '[:space:]' ' '; }

for tool in apt-get:apt apt-ftparchive:apt-utils dpkg-scanpackages:dpkg-dev depmod:kmod cpio:cpio xorriso:xorriso; do
	command -v "${tool%%:*}" >/dev/null || fail "needs ${tool%%:*}: apt-get install ${tool##*:}"
done
exec 9>"$cache/lock"
flock 9
key=$(cd "$here" && cat build.sh packages udebs | sha256sum | cut -c1-12)
iso=$cache/debian-13-$key.iso
if [ -s "$iso" ]; then
	echo "$iso"
	exit
fi

work=$cache/work
tree=$work/tree
rm -rf "$work"
mkdir -p "$tree/.disk" "$work/initrd" "$work/deb" "$work/none/partial"

# --- the ordinary apt client in a root of its own ------------------------------------------------
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || fail "needs $keyring: apt-get install debian-archive-keyring"
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
site=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SITE)' |
	awk -v release="$codename" '$1 == release && $2 == "main" {print $3; exit}')
[ -n "$site" ] || fail "apt has no source for Debian '$codename' main"

# apt_root NAME STATUS SOURCE...: its downloads stay from run to run, the rest is new.
apt_root() {
	local dir=$cache/apt/$1 status=$2
	shift 2
	rm -rf "${dir:?}/etc" "$dir/state"
	mkdir -p "$dir"/{etc/apt.conf.d,etc/preferences.d,etc/sources.list.d,state/lists/partial,cache/archives/partial}
	cp "$status" "$dir/state/status"
	printf '%s\n' "$@" >"$dir/etc/sources.list"
	# The machine's own proxy and credentials stay in force: only what names a place is ours.
	cat >"$dir/apt.conf" <<-CONF
		Dir::State "$dir/state";
		Dir::State::status "$dir/state/status";
		Dir::Cache "$dir/cache";
		Dir::Etc::sourcelist "$dir/etc/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::Etc::preferences "-";
		Dir::Etc::preferencesparts "$dir/etc/preferences.d";
		APT::Architecture "amd64";
		APT::Architectures "amd64";
		APT::Install-Recommends "false";
		APT::Sandbox::User "$(id -un)";
		APT::Keep-Downloaded-Packages "true";
		Acquire::Languages "none";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
	CONF
	in_root "${dir##*/}" apt-get update >&2
}
in_root() {
	local name=$1 program=$2
	shift 2
	APT_CONFIG=$cache/apt/$name/apt.conf "$program" -qq "$@"
}
# fetch NAME PACKAGE...: downloads them and what they depend on, and notes their file names.
fetch() {
	local name=$1
	shift
	in_root "$name" apt-get --print-uris --yes -o Dir::Cache::archives="$work/none/" install "$@" |
		awk '{print $2}' >>"$work/$name.files"
	in_root "$name" apt-get --download-only --yes -o Debug::NoLocking=true install "$@" >&2
}

# --- kernel, initrd ------------------------------------------------------------------------------
say "reading the index of Debian 13"
apt_root debs /dev/null "deb [signed-by=$keyring] $site $suite main"
(cd "$work/deb" && in_root debs apt-get download debian-installer-13-netboot-amd64 >&2)
dpkg-deb -x "$work"/deb/debian-installer-13-*.deb "$work/netboot"
images=$(echo "$work"/netboot/usr/lib/debian-installer/images/*/amd64/text/debian-installer/amd64)
netboot=$tree/dists/$suite/main/installer-amd64/current/images/netboot/debian-installer/amd64
mkdir -p "$netboot"
cp "$images"/{linux,initrd.gz} "$netboot/"
gzip -dc "$images/initrd.gz" | (cd "$work/initrd" && cpio --extract --make-directories --quiet --no-absolute-filenames 2>/dev/null || true)
abi=$(ls "$work/initrd/lib/modules")
[ -n "$abi" ] || fail "no kernel modules in the netboot initrd"

# --- udebs of our own ----------------------------------------------------------------------------
# Not every host that mirrors Debian keeps its kernel-module and e2fsprogs udebs, so these two are
# packed from the debs of the same version.
own=$work/own
mkdir -p "$own"
pack() { # pack NAME VERSION FIELD...: from $work/udeb/NAME
	local name=$1 version=$2 dir=$work/udeb/$1
	shift 2
	mkdir -p "$dir/DEBIAN"
	printf '%s\n' "Package: $name" "Version: $version" "Architecture: amd64" "Section: debian-installer" \
		"Priority: standard" "Maintainer: Rackseed end-to-end test <root@localhost>" "$@" \
		"Description: packed by test/e2e/mirror/build.sh" >"$dir/DEBIAN/control"
	dpkg-deb --root-owner-group -Zgzip -b "$dir" "$own/${name}_${version#*:}_amd64.udeb" >/dev/null
}

# Every module that these need and that the initrd lacks.
modules="ext4 vfat nls_ascii nls_cp437 nls_utf8 virtio_blk virtio_scsi sd_mod sr_mod cdrom ahci ata_piix ata_generic
	nvme mptspi mptsas megaraid_sas mpt3sas loop md_mod raid0 raid1 raid10 raid456 dm_mod squashfs isofs overlay efivarfs"
say "packing kernel modules for $abi"
(cd "$work/deb" && in_root debs apt-get download "linux-image-$abi" e2fsprogs libext2fs2t64 libcom-err2 libss2 >&2)
dpkg-deb -x "$work/deb/linux-image-$abi"_*.deb "$work/linux"
kernel=$work/linux/usr
[ -d "$kernel/lib/modules" ] || kernel=$work/linux
depmod -b "$kernel" "$abi"
dir=$work/udeb/disk-modules-$abi-di
while read -r module; do
	[ ! -e "$work/initrd/lib/modules/$abi/$module" ] && [ ! -e "$work/initrd/usr/lib/modules/$abi/$module" ] || continue
	install -D -m 644 "$kernel/lib/modules/$abi/$module" "$dir/usr/lib/modules/$abi/$module"
done < <(for m in $modules; do
	modprobe -d "$kernel" -S "$abi" --show-depends "$m" 2>/dev/null || true
done | sed -n "s,^insmod $kernel/lib/modules/$abi/\([^ ]*\).*,\1,p" | sort -u)
mkdir -p "$dir/DEBIAN"
printf '#!/bin/sh\ndepmod %s\n' "$abi" >"$dir/DEBIAN/postinst"
chmod 755 "$dir/DEBIAN/postinst"
pack "disk-modules-$abi-di" "$(dpkg-deb -f "$work/deb/linux-image-$abi"_*.deb Version)" "Kernel-Version: $abi" \
	"Depends: kernel-image-$abi-di" \
	"Provides: ext2-modules, ext3-modules, ext4-modules, fat-modules, ata-modules, sata-modules, scsi-modules, cdrom-core-modules, loop-modules, md-modules, isofs-modules, squashfs-modules, efi-modules"

for deb in "$work"/deb/{e2fsprogs,libext2fs2t64,libcom-err2,libss2}_*.deb; do dpkg-deb -x "$deb" "$work/e2fs"; done
dir=$work/udeb/e2fsprogs-udeb
find "$work/e2fs" \( -name 'mke2fs' -o -name 'mkfs.ext*' -o -name 'e2fsck' -o -name 'fsck.ext*' -o -name 'tune2fs' -o -name 'resize2fs' \
	-o -name 'badblocks' -o -name 'libext2fs.so*' -o -name 'libcom_err.so*' -o -name 'libe2p.so*' -o -name 'libss.so*' -o -name 'mke2fs.conf' \) \
	-printf '%P\n' | while read -r f; do
	mkdir -p "$dir/$(dirname "$f")"
	cp -a "$work/e2fs/$f" "$dir/$f"
done
pack e2fsprogs-udeb "$(dpkg-deb -f "$work"/deb/e2fsprogs_*.deb Version)+own1" "Depends: libblkid1-udeb, libc6-udeb, libuuid1-udeb"
# partman-partitioning wants it to shrink NTFS, which no installation on an empty disk does.
pack ntfs-3g-udeb 9:0+own1
(cd "$own" && dpkg-scanpackages --multiversion --type udeb . 2>/dev/null >Packages)

# --- the pool ------------------------------------------------------------------------------------
# take NAME INDEX: what was fetched, at the archive's paths and with the archive's stanzas.
take() {
	local name=$1 index=$2 file path
	mkdir -p "$(dirname "$index")"
	sort -u "$work/$name.files" | sed 's/_[0-9]*%3a/_/' >"$work/$name.wanted"
	awk -v wanted="$work/$name.wanted" '
		BEGIN { while ((getline line < wanted) > 0) names[line] = 1; RS = ""; FS = "\n" }
		{ for (i = 1; i <= NF; i++) if ($i ~ /^Filename: pool/) { n = split($i, part, "/"); if (part[n] in names) print $0 "\n" } }
	' <(/usr/lib/apt/apt-helper cat-file "$cache/apt/$name/state/lists"/*_Packages*) >"$index"
	sort -u "$work/$name.files" | while read -r file; do
		path=$(awk -v name="/$(sed 's/_[0-9]*%3a/_/' <<<"$file")" \
			'/^Filename: / && substr($2, length($2) - length(name) + 1) == name {print $2; exit}' "$index")
		[ -n "$path" ] && [ -e "$cache/apt/$name/cache/archives/$file" ] || continue # one of our own
		mkdir -p "$tree/$(dirname "$path")"
		ln "$cache/apt/$name/cache/archives/$file" "$tree/$path"
	done
}

say "fetching debs"
# The two GRUBs conflict as installed packages; a medium has both.
fetch debs '?priority(required)' '?priority(important)' $(list packages) grub-pc
fetch debs $(list packages) grub-efi-amd64 grub-efi-amd64-signed shim-signed efibootmgr
take debs "$tree/dists/$suite/main/binary-amd64/Packages"

say "fetching udebs"
# What the initrd holds counts as installed.
sed 's/^Status: install ok unpacked/Status: install ok installed/; /^Package:/a Architecture: amd64' \
	"$work/initrd/var/lib/dpkg/status" >"$work/initrd.status"
apt_root udebs "$work/initrd.status" \
	"deb [signed-by=$keyring] $site $suite main/debian-installer" "deb [trusted=yes] file:$own ./"
fetch udebs $(list udebs)
take udebs "$tree/dists/$suite/main/debian-installer/binary-amd64/Packages"
mkdir -p "$tree/pool/own"
cp "$own"/*.udeb "$tree/pool/own/"
(cd "$tree" && dpkg-scanpackages --multiversion --type udeb pool/own 2>/dev/null) >>"$tree/dists/$suite/main/debian-installer/binary-amd64/Packages"

# --- indices and medium --------------------------------------------------------------------------
(
	cd "$tree/dists/$suite"
	for index in main/binary-amd64 main/debian-installer/binary-amd64; do
		printf '%s\n' "Archive: stable" "Suite: stable" "Codename: $suite" "Component: main" "Architecture: amd64" >$index/Release
		gzip -9kn $index/Packages
		xz -k $index/Packages
	done
	apt-ftparchive -o APT::FTPArchive::Release::Origin=Debian -o APT::FTPArchive::Release::Label=Debian \
		-o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Version=13 \
		-o APT::FTPArchive::Release::Codename=$suite -o APT::FTPArchive::Release::Architectures=amd64 \
		-o APT::FTPArchive::Release::Components=main release . >"$work/Release"
	mv "$work/Release" Release
)
ln -s $suite "$tree/dists/stable"
printf 'Debian GNU/Linux 13 "Trixie" - small network install medium amd64' >"$tree/.disk/info"
echo main >"$tree/.disk/base_components"
: >"$tree/.disk/base_installable"

say "writing $iso"
rm -f "$cache"/debian-13-*.iso
xorriso -as mkisofs -quiet -iso-level 3 -r -J -joliet-long -V 'Debian 13 amd64 n' -o "$iso.part" "$tree" 2>"$work/xorriso.log" ||
	fail "xorriso failed: $(tail -3 "$work/xorriso.log")"
mv "$iso.part" "$iso"
say "$(grep -c ^Package: "$tree/dists/$suite/main/binary-amd64/Packages") debs, $(grep -c ^Package: "$tree/dists/$suite/main/debian-installer/binary-amd64/Packages") udebs, $(du -h "$iso" | cut -f1)"
rm -rf "$work"
echo "$iso"
