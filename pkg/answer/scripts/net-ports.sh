net_sys=${RACKSEED_NET_SYS:-/sys/class/net}

# net_devices lists the ports. What is made of other interfaces has a type in its uevent.
net_devices() {
	for place in "$net_sys"/*; do
		[ "$(cat "$place/type" 2>/dev/null)" = 1 ] && ! grep -q '^DEVTYPE=' "$place/uevent" 2>/dev/null || continue
		echo "${place##*/}"
	done
}

# net_mac DEVICE prints its own MAC: a member of a bond shows the bond's in its place.
net_mac() { cat "$net_sys/$1/bonding_slave/perm_hwaddr" 2>/dev/null || cat "$net_sys/$1/address"; }

net_slot() { (cd -P "$net_sys/$1/device" 2>/dev/null && pwd) || :; }

# net_has prints the ports of this machine, for people.
net_has() {
	there=''
	for dev in $(net_devices); do
		slot=$(net_slot "$dev" | sed -n 's|.*/\([0-9a-f]*:[0-9a-f]*:[0-9a-f]*\.[0-9a-f]\)\(/.*\)*$|\1|p')
		there="$there${there:+; }$dev $(net_mac "$dev")${slot:+ at $slot}"
	done
	echo "${there:-none}"
}

# net_name DEVICE prints what the installed system calls a port. One installer is told to call the port
# that booted netboot0 (ifname=), which is no name to keep.
net_name() {
	if [ "$1" = netboot0 ]; then
		names=$(udevadm test-builtin net_id "$net_sys/$1" 2>/dev/null) || names=''
		for kind in ONBOARD SLOT PATH; do
			name=$(printf '%s\n' "$names" | sed -n "s/^ID_NET_NAME_$kind=//p")
			[ -z "$name" ] || { echo "$name"; return; }
		done
	fi
	echo "$1"
}

# net_find MAC PATH NAME prints the ports that the first of the three fits which is given.
net_find() {
	for dev in $(net_devices); do
		if [ -n "$1" ]; then
			[ "$(net_mac "$dev")" = "$1" ] || continue
		elif [ -n "$2" ]; then
			case $(net_slot "$dev")/ in */"$2"/*) ;; *) continue ;; esac
		else
			[ "$dev" = "$3" ] || [ "$(net_name "$dev")" = "$3" ] || continue
		fi
		echo "$dev"
	done
}
