nm_dir=/etc/NetworkManager/system-connections
ifcfg_dir=/etc/sysconfig/network-scripts
marks='' # sed commands that put in what only this machine knows of its ports
claimed='' # names and MACs that the plan uses
net_ours='' # files that the plan asks for

# port NIC MAC PATH NAME finds a port of the plan: by the first of the three that it gives.
port() {
	found=$(net_find "$2" "$3" "$4")
	claimed="$claimed $2"
	count=$(printf '%s' "$found" | grep -c '' || :)
	if [ "$count" = 1 ]; then
		mac=$(net_mac "$found") stays=$(net_name "$found")
		claimed="$claimed $found $stays $mac"
		marks="$marks
s/@MAC:$1@/$mac/g
s/@NAME:$1@/$stays/g"
		# Anaconda has the system go on with the name that its kernel was given.
		[ "$stays" = "$found" ] || gone "/etc/systemd/network/10-anaconda-ifname-$found.link"
		return
	fi
	if [ "$count" = 0 ] && [ -n "$2" ]; then
		# It may be broken, or come later; its profile can wait for it.
		echo "rackseed: NIC $1 ($2) is not in this machine, which has: $(net_has)" >&2
		marks="$marks
s/ primary=@NAME:$1@//g
/@NAME:$1@/d"
		return
	fi
	case $count in 0) said='is not in this machine' ;; *) said="fits $count ports of this machine" ;; esac
	lacks "NIC $1 (${3:-$4}) $said, which has: $(net_has); correct nics.$1 in the plan" || :
	return 1
}

# netfile MODE FILE makes FILE what is on standard input, once the marks in it are filled in.
netfile() {
	net_ours="$net_ours $2"
	write "$1" "$2" "$(sed -e "$marks")"
}

# net_named FILE prints the interfaces and MACs that a foreign profile is for.
net_named() {
	sed -n -e 's/^[[:space:]]*\(interface-name\|mac-address\|DEVICE\|HWADDR\)[[:space:]]*=[[:space:]]*["'\'']\{0,1\}\([^"'\''[:space:]]*\).*$/\2/p' "$1" | tr '[:upper:]' '[:lower:]'
}

# net_claims FILE: a foreign profile is for what the plan uses, or for whatever port there is.
net_claims() {
	named=$(net_named "$1")
	for word in $named; do ! has_words "$(echo "$claimed" | tr '[:upper:]' '[:lower:]')" "$word" || return 0; done
	[ -z "$named" ]
}

# net_profiles removes NetworkManager's profiles that would compete with ours: the installer's, a
# second one in the other format, ours of an earlier plan.
net_profiles() {
	for path in "$ROOT$nm_dir"/* "$ROOT$ifcfg_dir"/ifcfg-* "$ROOT$ifcfg_dir"/route-rackseed-*; do
		file=${path#"$ROOT"}
		[ -f "$path" ] && ! has_words "$net_ours" "$file" || continue
		case $file in
		"$nm_dir"/rackseed-* | "$ifcfg_dir"/*-rackseed-*) gone "$file" ;;
		"$nm_dir"/*)
			if grep -qE '^type *= *(ethernet|802-3-ethernet|bond|vlan) *$' "$path" && net_claims "$path"; then gone "$file"; fi
			;;
		*/ifcfg-lo) ;;
		*)
			if net_claims "$path"; then
				gone "$file"
				for kind in route route6 rule rule6 keys; do gone "$ifcfg_dir/$kind-${file##*/ifcfg-}"; done
			fi
			;;
		esac
	done
}

# net_interfaces leaves ifupdown nothing but loopback, and networkd the rest.
net_interfaces() {
	for path in "$ROOT"/etc/systemd/network/0-rackseed-* "$ROOT"/etc/systemd/network/10-rackseed-*; do
		[ ! -f "$path" ] || has_words "$net_ours" "${path#"$ROOT"}" || gone "${path#"$ROOT"}"
	done
	if [ -d "$ROOT/etc/network" ]; then
		write 0644 /etc/network/interfaces '# Written by Rackseed: systemd-networkd has the network, see /etc/systemd/network.
auto lo
iface lo inet loopback'
	fi
	disable_unit NetworkManager
	enable_unit systemd-networkd
	# Without systemd-resolved nobody else writes the name servers down.
	if [ -n "$net_servers" ] && ! service_of systemd-resolved >/dev/null && [ ! -L "$ROOT/etc/resolv.conf" ]; then
		text=$(sed -n '/^\(search\|domain\|options\)[[:space:]]/p' "$ROOT/etc/resolv.conf" 2>/dev/null || :)
		for server in $net_servers; do
			text="${text:+$text
}nameserver $server"
		done
		write 0644 /etc/resolv.conf "$text"
	fi
}

# net_written makes the files of this system the plan's network. It takes force at the next boot.
net_written() {
	marks='' claimed=$net_links net_ours=''
	net_ports || return
	net_files || return
	case $net_style in
	keyfile | ifcfg)
		net_profiles
		enable_unit NetworkManager
		;;
	netplan)
		for path in "$ROOT"/etc/netplan/*.yaml; do
			[ ! -f "$path" ] || has_words "$net_ours" "${path#"$ROOT"}" || gone "${path#"$ROOT"}"
		done
		;;
	networkd) net_interfaces ;;
	esac
	if [ -d "$ROOT/etc/cloud/cloud.cfg.d" ]; then
		write 0644 /etc/cloud/cloud.cfg.d/99-rackseed-network.cfg '# Written by Rackseed: the plan says what the network is.
network: {config: disabled}'
	fi
}
