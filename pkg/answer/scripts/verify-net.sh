# net_port NIC MAC PATH NAME MTU: a port that stands alone.
net_port() {
	dev=$(net_find "$2" "$3" "$4")
	if [ -z "$dev" ]; then echo "NIC $1 ($2$3$4): is not in this machine, which has $(net_has)"; else net_link "$dev" "$5"; fi
}

# net_link DEVICE MTU: it is there, has carrier and takes packets of that size.
net_link() {
	if [ ! -e "$net_sys/$1" ]; then
		echo "interface $1: is not there"
		return
	fi
	differs "interface $1, carrier" 1 "$(cat "$net_sys/$1/carrier" 2>/dev/null)"
	differs "interface $1, MTU" "$2" "$(cat "$net_sys/$1/mtu")"
}

# net_bond NAME MODE: how its members share the traffic.
net_bond() {
	[ ! -e "$net_sys/$1" ] || differs "bond $1, mode" "$2" "$(sed 's/ .*//' "$net_sys/$1/bonding/mode" 2>/dev/null)"
}

# net_member BOND NIC MAC PATH NAME: the port belongs to the bond, and its link is up.
net_member() {
	dev=$(net_find "$3" "$4" "$5")
	if [ -z "$dev" ]; then
		echo "bond $1: NIC $2 ($3$4$5) is not in this machine, which has $(net_has)"
		return
	fi
	case " $(cat "$net_sys/$1/bonding/slaves" 2>/dev/null) " in
	*" $dev "*) differs "bond $1, member $dev ($2)" up "$(cat "$net_sys/$dev/bonding_slave/mii_status" 2>/dev/null)" ;;
	*) echo "bond $1: $dev (NIC $2) is not a member" ;;
	esac
}

# net_lacp BOND: the switch speaks LACP too. Without a partner its MAC is zero, and one member
# carries everything, or none does. They may still be negotiating.
net_lacp() {
	for try in 1 2 3 4 5 6 7 8 9 10; do
		case $(cat "$net_sys/$1/bonding/ad_partner_mac" 2>/dev/null) in
		'' | 00:00:00:00:00:00) [ "$try" = 10 ] || sleep 1 ;;
		*) return ;;
		esac
	done
	echo "bond $1: no LACP partner, planned 802.3ad: the ports of the switch are not in an aggregate with LACP"
}

# net_vlan NAME ID PARENT
net_vlan() {
	[ -e "$net_sys/$1" ] || return
	about=$(ip -d -o link show dev "$1")
	differs "VLAN $1, id" "$2" "$(echo "$about" | sed -n 's/.* vlan .* id \([0-9]*\) .*/\1/p')"
	[ -z "$3" ] || differs "VLAN $1, on" "$3" "$(echo "$about" | sed -n 's/^[0-9]*: [^@]*@\([^:]*\):.*/\1/p')"
}

# net_on NIC MAC PATH NAME COMMAND...: a check of what the kernel calls a port.
net_on() {
	dev=$(net_find "$2" "$3" "$4")
	shift 4
	check=$1
	shift
	[ -z "$dev" ] || "$check" "$dev" "$@"
}

# net_joined TEXT puts its lines on one.
net_joined() { printf '%s' "$1" | tr '\n' ','; }

net_address() {
	got=$(ip -4 -o address show dev "$1" scope global 2>/dev/null | sed 's/.* inet \([^ ]*\) .*/\1/')
	printf '%s\n' "$got" | grep -qxF -e "$2" || echo "interface $1: has address $(net_joined "${got:-none}"), planned $2"
}

# net_bare NAME carries a network that others give addresses on.
net_bare() {
	got=$(ip -4 -o address show dev "$1" scope global 2>/dev/null | sed 's/.* inet \([^ ]*\) .*/\1/')
	[ -z "$got" ] || echo "interface $1: has address $(net_joined "$got"), planned none"
}

# net_default NAME GATEWAY: one default route, and this is it. From DHCP any gateway will do.
net_default() {
	got=$(ip -4 route show default | sed -n 's/^default\( via \([^ ]*\)\)\{0,1\} dev \([^ ]*\).*/\2 \3/p')
	case $got in
	"$2 $1") ;;
	*" $1") [ -z "$2" ] && [ "$(printf '%s\n' "$got" | grep -c '')" = 1 ] || differs "default route" "$2 $1" "$(net_joined "$got")" ;;
	*) differs "default route" "$2 $1" "$(net_joined "$got")" ;;
	esac
}

# net_route TO VIA
net_route() { ip -4 route show "$1" | grep -qF -e "via $2 " || echo "route to $1: is not via $2"; }
