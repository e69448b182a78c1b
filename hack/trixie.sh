#!/bin/sh
# trixie.sh PACKAGE [VERSION]: downloads a package of Debian 13, or a component of its installer (a udeb),
# into .cache/trixie and prints its path.
# trixie.sh --tree PACKAGE: unpacks a package and all that it depends on, down to the C library, into a folder
# and prints its path.
# Works on Debian 12 and newer, needs no root and leaves the machine's own apt alone: a private apt root,
# the machine's own mirror, and its Debian keyring to verify what comes.
set -eu
cd "$(dirname "$0")/.."
tree=
if [ "$1" = --tree ]; then
	tree=yes
	shift
fi
package=$1 version=${2:-}

fail() {
	echo "trixie.sh: $*" >&2
	exit 1
}

command -v apt-get >/dev/null || fail "needs apt: run this on Debian 12 or newer"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || fail "needs $keyring: apt-get install debian-archive-keyring"

# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
site=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SITE)' |
	awk -v release="$codename" '$1 == release && $2 == "main" {print $3; exit}')
[ -n "$site" ] || fail "apt has no source for Debian '$codename' main: check /etc/apt/sources.list"

root=$PWD/.cache/trixie/apt
mkdir -p "$root/etc/preferences.d" "$root/state/lists/partial" "$root/cache/archives/partial" .cache/trixie/debs
exec 9>"$root/lock"
flock 9
echo "deb [signed-by=$keyring] $site trixie main main/debian-installer" >"$root/etc/sources.list"

# Proxy, credentials and other settings of the machine stay in force: only the sources and the state are ours.
private() {
	command=$1
	shift
	"$command" -qq \
		-o Dir::Etc::sourcelist="$root/etc/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts="$root/etc/preferences.d" \
		-o Dir::State="$root/state" -o Dir::State::status=/dev/null -o Dir::Cache="$root/cache" \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# An index of yesterday can name files that the archive has replaced since.
if [ -z "$(find "$root/state/lists" -name '*debian-installer*Packages*' -mmin -720 2>/dev/null)" ]; then
	private apt-get update || fail "cannot read Debian 13's index; is the network there?"
fi
[ -n "$version" ] || version=$(private apt-cache show "$package" | awk '/^Version:/ {print $2; exit}')
[ -n "$version" ] || fail "Debian 13 has no package $package"

if [ -n "$tree" ]; then
	kept=$PWD/.cache/trixie/tree/$package
	if [ "$(cat "$kept/VERSION" 2>/dev/null)" != "$version" ]; then
		rm -rf "$kept" "$root/tree"
		mkdir -p "$kept" "$root/tree/partial"
		# With nothing installed, as the state says, all of it is downloaded.
		private apt-get -o Dir::Cache::archives="$root/tree" --no-install-recommends --download-only -y install "$package" >&2 ||
			fail "cannot download $package and what it depends on"
		for deb in "$root"/tree/*.deb; do
			dpkg-deb -x "$deb" "$kept"
		done
		rm -r "$root/tree"
		echo "$version" >"$kept/VERSION"
	fi
	echo "$kept"
	exit 0
fi

mkdir -p "$root/get"
if ! (cd "$root/get" && private apt-get download "$package=$version" >&2); then
	fail "Debian 13 does not offer $package $version; it offers: $(private apt-cache madison "$package" | awk '{print $3}' | tr '\n' ' ')"
fi
file=$(echo "$root/get/$package"_*deb)
kept=.cache/trixie/debs/$package.${file##*.}
mv "$file" "$kept"
echo "$kept"
