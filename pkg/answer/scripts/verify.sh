set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
ROOT=${ROOT:-}

# Each check prints a line if something differs from the plan, and nothing otherwise.
differs() { [ "$2" = "$3" ] || echo "$1: is ${3:-not set}, planned $2"; }

host_name() { differs "host name" "$1" "$(uname -n)"; }

# addresses NAME asks also for what no interface can use yet: a first boot may look before its network
# is up. Older systems do not know -A.
addresses() { getent -A ahostsv4 "$1" 2>/dev/null || getent ahostsv4 "$1"; }

# A host may have further addresses; the planned one must be among them, and loopback not.
resolves() {
	got=$(addresses "$2" | while read -r a _; do echo "$a"; done | sort -u)
	case "$got" in 127.*) echo "name $2: leads to $got, planned $1"; return ;; esac
	printf '%s\n' "$got" | grep -qxF -e "$1" || echo "name $2: leads to ${got:-nothing}, planned $1"
}

kernel_parameter() { differs "sysctl $1" "$(echo "$2" | tr -s '\t ' ' ')" "$(sysctl -n "$1" 2>/dev/null | tr -s '\t ' ' ')"; }

# limit DOMAIN ITEM VALUE looks at a session, where PAM puts limits in force. Whom the limit of a
# group holds for cannot be told.
limit() {
	case $1 in
	'*') user=nobody ;;
	@* | *[!A-Za-z0-9._-]*) return ;;
	*) user=$1 ;;
	esac
	case $2 in
	nofile) row='Max open files' ;;
	nproc) row='Max processes' ;;
	*) return ;;
	esac
	got=$(su -s /bin/sh -c 'cat /proc/self/limits' "$user" 2>/dev/null | sed -n "s/^$row  *\([^ ]*\)  *\([^ ]*\) .*/\1 \2/p")
	differs "limit $2 of $user" "$3 $3" "$got"
}

# service_limit VALUE is what services get, which PAM has no say in.
service_limit() { differs "open files of services" "$1" "$(systemctl show --property=DefaultLimitNOFILESoft --value)"; }

root_key() { grep -qxF -e "$1" "$ROOT/root/.ssh/authorized_keys" 2>/dev/null || echo "SSH key of root is missing: ${1##* }"; }

# running NAME...: one of the names that a service has on different systems is active.
running() {
	for unit; do
		if systemctl --quiet is-active "$unit.service"; then return; fi
	done
	echo "service $1: is not running"
}
