#!/bin/sh
# debian-packages.sh GROUP...: installs the Debian packages that a make target needs.
# Does nothing when they are there. Without root it prints the command and fails.
set -eu

group() {
	case $1 in
	go-race) echo gcc libc6-dev ;;
	clients) echo network-manager netplan.io iproute2 ethtool nftables xorriso shellcheck kea-admin isc-dhcp-relay tcpdump dnsmasq-base isc-dhcp-client udhcpc dhcpcd5 tftp-hpa atftp busybox curl strace ansible-core ;;
	answers) echo python3-yaml genisoimage cpio mtools xorriso shellcheck dash busybox ;;
	# On its own: it has services, which a machine that people work on is better off without.
	seeds) echo cloud-init ;;
	firmware) echo qemu-system-x86 qemu-utils ovmf seabios ipxe-qemu xorriso mtools dnsmasq-base iproute2 tcpdump ;;
	bmc) echo redfishtool python3-sushy openipmi ipmitool freeipmi-tools ;;
	bundle) echo debootstrap debian-archive-keyring util-linux iproute2 ;;
	bench) echo iproute2 nftables xorriso dnsmasq-base kea-dhcp4-server isc-dhcp-server tftpd-hpa nginx-light ;;
	# A nodejs from elsewhere brings its own npm, and takes no other.
	web)
		echo chromium fonts-wqy-zenhei fonts-dejavu-core
		command -v node >/dev/null || echo nodejs
		command -v npm >/dev/null || echo npm
		;;
	install) echo apt-utils dpkg-dev cpio kmod openssh-client xorriso ;;
	*)
		echo "debian-packages.sh: unknown group: $1" >&2
		exit 2
		;;
	esac
}

if ! command -v dpkg >/dev/null || ! command -v apt-get >/dev/null; then
	echo "debian-packages.sh: not a Debian machine, nothing installed; tests that miss a program are skipped by name" >&2
	exit 0
fi

wanted=
for g in "$@"; do
	packages=$(group "$g")
	for p in $packages; do
		dpkg -s "$p" 2>/dev/null | grep -q '^Status: .* installed$' || wanted="$wanted $p"
	done
done
wanted=$(printf '%s\n' $wanted | sort -u | tr '\n' ' ')
[ -n "${wanted# }" ] || exit 0

install="apt-get -o DPkg::Lock::Timeout=600 -y -qq --no-install-recommends install $wanted"
if [ "$(id -u)" != 0 ]; then
	echo "These Debian packages are missing. Install them, then run make again:" >&2
	echo "  sudo apt-get update && sudo $install" >&2
	exit 1
fi

# A DHCP or TFTP server that a maintainer script starts would speak on this machine's real network.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi
echo "installing: $wanted"
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=600 -qq update
$install >/dev/null
