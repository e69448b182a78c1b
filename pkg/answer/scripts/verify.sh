set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
ROOT=${ROOT:-}
# Tests point these at a tree of their own.
proc=${RACKSEED_PROC:-/proc}
sys=${RACKSEED_SYS:-/sys}

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

# hosts_block SUM: the lines of the plan in /etc/hosts have this SHA-256.
hosts_block() {
	got=$(sed -n '/^# BEGIN rackseed/,/^# END rackseed/p' "$ROOT/etc/hosts" 2>/dev/null | sed -e '1d' -e '$d' | sha256sum)
	[ "${got%% *}" = "$1" ] || echo "/etc/hosts: the hosts of the plan are missing or changed"
	! grep -q '^127\.0\.1\.1[[:space:]]' "$ROOT/etc/hosts" 2>/dev/null || echo "/etc/hosts: has a line for 127.0.1.1, planned none"
}

# file PATH SUM: it holds what was planned.
file() {
	if [ ! -f "$ROOT$1" ]; then
		echo "$1: is missing"
		return
	fi
	got=$(sha256sum <"$ROOT$1")
	[ "${got%% *}" = "$2" ] || echo "$1: was changed since Rackseed wrote it"
}

kernel_argument() {
	case " $(cat "$proc/cmdline" 2>/dev/null) " in
	*" $1 "*) ;;
	*) echo "kernel argument $1: was not given at this boot" ;;
	esac
}

# hugepages KIB COUNT: the kernel takes what it finds at boot, which can be less than it was asked for.
hugepages() {
	got=$(cat "$sys/kernel/mm/hugepages/hugepages-$1kB/nr_hugepages" 2>/dev/null || echo 0)
	[ "$got" -ge "$2" ] || echo "huge pages of $1 KiB: $got are allocated, planned $2"
}

# module NAME: is loaded, or part of the kernel.
module() {
	name=$(printf '%s' "$1" | tr - _)
	[ ! -d "$sys/module/$name" ] || return 0
	cat "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null | tr - _ | grep -q "/$name\.ko" || echo "module $1: is not loaded"
}

# selected FILE prints the word in brackets, which is the one in force.
selected() { sed -n 's/.*\[\([^]]*\)\].*/\1/p' "$1" 2>/dev/null; }

huge_pages() { differs "transparent huge pages" "$1" "$(selected "$sys/kernel/mm/transparent_hugepage/enabled")"; }

# same_pages WANTED RUN: off is as good before anything was merged as after it was taken apart.
same_pages() {
	case $2:$(cat "$sys/kernel/mm/ksm/run" 2>/dev/null) in
	1:1 | 2:2 | 2:0) ;;
	*:'') echo "KSM: this kernel has none, planned $1" ;;
	*:1) echo "KSM: is on, planned $1" ;;
	*) echo "KSM: is off, planned $1" ;;
	esac
}

tuned_profile() { differs "tuned profile" "$1" "$(tuned-adm active 2>/dev/null | sed -n 's/^Current active profile: //p')"; }

# scheduler KIND NAME READ_AHEAD looks at every disk of the kind.
scheduler() {
	for queue in "$sys"/block/*/queue; do
		[ -d "$queue" ] || continue
		disk=${queue%/queue} disk=${disk##*/}
		case $disk:$(cat "$queue/rotational" 2>/dev/null) in
		nvme*) kind=nvme ;;
		sd*:0 | vd*:0) kind=ssd ;;
		sd*:1 | vd*:1) kind=hdd ;;
		*) continue ;;
		esac
		[ "$kind" = "$1" ] || continue
		[ -z "$2" ] || differs "scheduler of $disk" "$2" "$(selected "$queue/scheduler")"
		[ -z "$3" ] || differs "read-ahead of $disk in KiB" "$3" "$(cat "$queue/read_ahead_kb" 2>/dev/null)"
	done
}

# cpu_set LIST prints its CPUs in order: 0-2,5 and 0 1 2 5 are the same set.
cpu_set() {
	for range in $(echo "$1" | tr ',' ' '); do
		seq "${range%-*}" "${range#*-}"
	done | sort -n | tr '\n' ' '
}

# allowed_cpus UNIT LIST. Of a service that is not installed yet there is only the file. Where cgroups
# are version 1, systemd keeps services to their CPUs by affinity, and slices not at all.
allowed_cpus() {
	unit=$1 property=AllowedCPUs
	case $unit in *@.service) unit=${unit%.service}rackseed.service ;; esac
	case $unit:$(systemctl show --property=LoadState --value "$unit" 2>/dev/null) in
	*.service:loaded | *.slice:?*) ;;
	*) return ;;
	esac
	if [ ! -e "$sys/fs/cgroup/cgroup.controllers" ]; then
		property=CPUAffinity
		case $unit in *.slice) echo "CPUs of $1: are all, as cgroups are version 1 here, planned $2: nova's cpu_shared_set must keep guests to them"; return ;; esac
	fi
	got=$(systemctl show --property=$property --value "$unit" 2>/dev/null)
	[ "$(cpu_set "$got")" = "$(cpu_set "$2")" ] || echo "CPUs of $1: are ${got:-not set}, planned $2"
}

# journald KEY VALUE: the last file that says it wins.
journald() { differs "journald $1" "$2" "$(systemd-analyze cat-config systemd/journald.conf 2>/dev/null | sed -n "s/^$1=//p" | tail -n 1)"; }

time_server() { grep -qs "^server $1\( \|$\)" "$ROOT/etc/chrony.conf" "$ROOT/etc/chrony/chrony.conf" || echo "time server $1: chrony is not told of it"; }

# kernel_parameter KEY VALUE: it is in force, and the next boot does not end that.
kernel_parameter() {
	planned=$(echo "$2" | tr -s '\t ' ' ')
	got=$(sysctl -n "$1" 2>/dev/null | tr -s '\t ' ' ')
	[ "$got" = "$planned" ] || { differs "sysctl $1" "$planned" "$got"; return; }
	key=$(echo "$1" | sed 's~[./]~[./]~g')
	later=$(sed -n "s~^[[:space:]]*-\{0,1\}${key}[[:space:]]*=[[:space:]]*~~p" "$ROOT/etc/sysctl.conf" 2>/dev/null | tail -n 1 | tr -s '\t ' ' ')
	case ${later% } in '' | "$planned") ;; *) echo "sysctl $1: /etc/sysctl.conf makes it ${later% } at the next boot, planned $planned" ;; esac
}

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
service_limit() { differs "open files of services" "$1" "$(systemctl show --property=DefaultLimitNOFILESoft --value 2>/dev/null)"; }

root_key() { grep -qxF -e "$1" "$ROOT/root/.ssh/authorized_keys" 2>/dev/null || echo "SSH key of root is missing: ${1##* }"; }

# running NAME...: one of the names that a service has on different systems is active.
running() {
	for unit; do
		if systemctl --quiet is-active "$unit.service" 2>/dev/null; then return; fi
	done
	echo "service $1: is not running"
}

# no_firewall NAME...: none of the services is active.
no_firewall() {
	for unit; do
		if systemctl --quiet is-active "$unit.service" 2>/dev/null; then echo "service $unit: is running, planned off"; fi
	done
}

# selinux WANTED. A system without it is not asked; one where it is off is as good as permissive.
selinux() {
	[ -f "$ROOT/etc/selinux/config" ] || return 0
	got=$(getenforce 2>/dev/null | tr '[:upper:]' '[:lower:]')
	case $1:$got in
	permissive:disabled) ;;
	*) differs SELinux "$1" "$got" ;;
	esac
}
