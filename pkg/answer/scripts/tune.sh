set -eu
umask 022
ROOT=${ROOT:-}
mode=${RACKSEED_MODE:-apply} # dry-run names what would change, diff shows it; both write nothing
journal='' # a file that takes each change

# changed WHAT... tells of a change that is made now, or would be.
changed() {
	case $mode in
	apply) echo "changed: $*" ;;
	*) echo "would change: $*" ;;
	esac
	[ -z "$journal" ] || echo "$*" >>"$journal"
}

applies() { [ "$mode" = apply ]; }

# The next three are what an install needs; a bundle puts its own in their place.

# keep FILE, keep unit NAME: before it is changed.
keep() { :; }

# install_packages installs what RACKSEED_PACKAGES names, now that the repositories of the plan are
# there, of which the installers of Debian and Ubuntu know none.
install_packages() {
	missing=''
	for name in ${RACKSEED_PACKAGES:-}; do
		# shellcheck disable=SC2016
		[ "$(inside dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing="$missing $name"
	done
	[ -n "$missing" ] || return 0
	changed "packages installed:$missing"
	applies || return 0
	# A source that cannot be reached leaves those that can.
	inside apt-get -q update || :
	# shellcheck disable=SC2086
	inside env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold install $missing ||
		lacks "packages cannot be installed:$missing; add a repository that has them to the plan, or take them out of the profile"
}

# lacks WHAT...: something is not there that must be.
lacks() {
	echo "rackseed: $*" >&2
	return 1
}

has_mode() { [ "$(stat -c %a "$ROOT$2" 2>/dev/null)" = "${1#0}" ]; }

# write MODE FILE TEXT makes TEXT what FILE holds.
write() {
	if [ -f "$ROOT$2" ] && [ "$(cat "$ROOT$2")" = "$3" ]; then
		has_mode "$1" "$2" && return
		changed "$2: mode $1"
		! applies || { keep "$2" && chmod "$1" "$ROOT$2"; }
		return
	fi
	changed "$2"
	case $mode in
	apply)
		keep "$2"
		mkdir -p "$ROOT${2%/*}"
		(umask 077 && printf '%s\n' "$3" >"$ROOT$2.rackseed-new")
		chmod "$1" "$ROOT$2.rackseed-new"
		mv -f "$ROOT$2.rackseed-new" "$ROOT$2"
		labelled "$2"
		;;
	diff)
		old=$ROOT$2
		[ -f "$old" ] || old=/dev/null
		printf '%s\n' "$3" | diff -u "$old" - | sed -e "1s|.*|--- $old|" -e "2s|.*|+++ $2 as planned|" || :
		;;
	esac
}

# put MODE FILE makes FILE what is on standard input.
put() { write "$1" "$2" "$(cat)"; }

# line MODE FILE TEXT adds a line to FILE, unless it is there.
line() {
	text=$(cat "$ROOT$2" 2>/dev/null || :)
	printf '%s\n' "$text" | grep -qxF -e "$3" || text=${text:+"$text
"}$3
	write "$1" "$2" "$text"
}

# folder MODE PATH makes a folder.
folder() {
	[ ! -d "$ROOT$2" ] || ! has_mode "$1" "$2" || return 0
	changed "$2: folder with mode $1"
	! applies || { mkdir -p "$ROOT$2" && chmod "$1" "$ROOT$2"; }
}

# gone FILE removes it.
gone() {
	[ -f "$ROOT$1" ] || return 0
	changed "$1: removed, it is no longer planned"
	! applies || { keep "$1" && rm -f "$ROOT$1"; }
}

# labelled FILE gives it the SELinux label of its place.
labelled() {
	if [ -z "$ROOT" ] && command -v restorecon >/dev/null 2>&1; then restorecon "$1" 2>/dev/null || :; fi
}

inside() { if [ -n "$ROOT" ]; then chroot "$ROOT" "$@"; else "$@"; fi; }

is_debian() { [ -e "$ROOT/etc/debian_version" ]; }

# planned_files makes standard input the list of the files that are ours. What only an earlier
# plan asked for goes.
planned_files() {
	list=$(cat)
	if [ -f "$ROOT/etc/rackseed/files" ]; then
		while read -r old; do
			printf '%s\n' "$list" | grep -qxF -e "$old" || gone "$old"
		done <"$ROOT/etc/rackseed/files"
	fi
	write 0644 /etc/rackseed/files "$list"
}

# vendor_repositories_off leaves the repositories of the site. Those of the vendor are on the Internet,
# and one that cannot be reached ends every command of dnf.
vendor_repositories_off() {
	for path in "$ROOT"/etc/yum.repos.d/*.repo; do
		file=${path#"$ROOT"}
		case $file in */rackseed-* | */redhat.repo) continue ;; esac
		[ ! -f "$path" ] || write 0644 "$file" "$(sed -e '/^enabled[[:space:]]*=/d' -e 's/^\[.*$/&\nenabled=0/' "$path")"
	done
}

# parameters makes standard input the kernel parameters of the plan. What sets them otherwise in
# /etc/sysctl.conf would win, which is read last: openEuler and its kin write their hardening there at
# the first boot, from a list of their own.
parameters() {
	text=$(cat) against='' hardening=''
	write 0644 /etc/sysctl.d/60-rackseed.conf "$text"
	while read -r key _ value; do
		case $key in '' | '#'*) continue ;; esac
		key=$(printf '%s' "$key" | sed 's~[./]~[./]~g')
		value=$(printf '%s' "$value" | sed -e 's/[][\.*^$]/\\&/g' -e 's/[[:space:]]\{1,\}/[[:space:]]*/g')
		sets="^[[:space:]]*-\{0,1\}${key}[[:space:]]*="
		against="$against
\\~${sets}[[:space:]]*${value}[[:space:]]*\$~b
\\~$sets~s~^~# Rackseed plans another value: ~"
		hardening="$hardening
\\~@/etc/sysctl[.]conf@[[:space:]]*${key}[[:space:]]*[=@]~d"
	done <<-TEXT
		$text
	TEXT
	for file in "$ROOT/etc/sysctl.conf" "$ROOT"/etc/*_security/*security.conf; do
		[ -f "$file" ] || continue
		case $file in */sysctl.conf) rules=$against ;; *) rules=$hardening ;; esac
		text=$(sed -e "$rules" "$file")
		[ "$text" = "$(cat "$file")" ] || write "0$(stat -c %a "$file")" "${file#"$ROOT"}" "$text"
	done
}

# hosts makes standard input our block of /etc/hosts. The name of a host must lead to the address
# that others reach it by: Debian's installer writes 127.0.1.1, which cluster software then announces.
hosts() {
	block=$(cat)
	rest=$(sed -e '/^# BEGIN rackseed/,/^# END rackseed/d' -e '/^127\.0\.1\.1[[:space:]]/d' -e '/# rackseed$/d' "$ROOT/etc/hosts" 2>/dev/null || :)
	[ -n "$rest" ] || rest='127.0.0.1 localhost
::1 localhost'
	write 0644 /etc/hosts "$rest
# BEGIN rackseed
$block
# END rackseed"
}

# time_from STRATUM SERVER... writes chrony's configuration, which Debian keeps in a folder of its
# own. STRATUM is what this host serves its own clock at when all servers are gone; 0 means never.
time_from() {
	conf=/etc/chrony.conf drift=/var/lib/chrony/drift stratum=$1
	shift
	if is_debian || [ -d "$ROOT/etc/chrony" ]; then conf=/etc/chrony/chrony.conf drift=/var/lib/chrony/chrony.drift; fi
	text='# Written by Rackseed: the time servers of the plan, and none from the Internet.'
	for server; do
		text="$text
server $server iburst"
	done
	text="$text
driftfile $drift
# A clock that is far off jumps in the first three updates; later it only slews.
makestep 1 3
rtcsync"
	[ "$stratum" = 0 ] || text="$text
# When no server can be reached, the nodes still agree among themselves, on one of those that say this.
local stratum $stratum orphan
allow"
	write 0644 "$conf" "$text"
}

# service_of NAME... prints the first of the services that this system has.
service_of() {
	for unit; do
		for place in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
			[ ! -f "$ROOT$place/$unit.service" ] || { echo "$unit"; return; }
		done
	done
	return 1
}

# enabled UNIT tells whether it starts at boot.
enabled() {
	case $(systemctl ${ROOT:+"--root=$ROOT"} is-enabled "$1" 2>/dev/null || :) in
	enabled | static | alias | indirect | generated) return 0 ;;
	*) return 1 ;;
	esac
}

# enable_unit NAME... enables the first of the services that this system has.
enable_unit() {
	unit=$(service_of "$@") || {
		lacks "no service $* to enable: its package is missing"
		return
	}
	! enabled "$unit.service" || return 0
	changed "service $unit: enabled"
	! applies || { keep unit "$unit.service" && systemctl ${ROOT:+"--root=$ROOT"} --quiet enable "$unit.service"; }
}

# disable_unit NAME... keeps services from starting at boot, if there are such.
disable_unit() {
	for name; do
		unit=$(service_of "$name") || continue
		enabled "$unit.service" || continue
		changed "service $unit: disabled"
		! applies || { keep unit "$unit.service" && systemctl ${ROOT:+"--root=$ROOT"} --quiet disable "$unit.service"; }
	done
}

# permissive has SELinux log instead of refuse, in force from the next boot.
permissive() {
	config=$ROOT/etc/selinux/config
	[ -f "$config" ] || return 0
	case $(sed -n 's/^SELINUX=[[:space:]]*//p' "$config" | tail -n 1) in permissive* | disabled*) return 0 ;; esac
	write 0644 /etc/selinux/config "$(sed '/^SELINUX=/d' "$config")
SELINUX=permissive"
}

# has_words TEXT WORD...: every word is one of TEXT.
has_words() {
	among=" $1 "
	shift
	for word; do
		case $among in *" $word "*) ;; *) return 1 ;; esac
	done
}

# kernel_arguments 'ARG ARG...' gives them to every installed kernel. Standard input says why, and
# is kept: what was ours before and is not planned any more goes.
kernel_arguments() {
	set -f
	# shellcheck disable=SC2086
	set -- $1
	set +f
	record=/etc/rackseed/kernel-arguments why=$(cat) stale=''
	[ $# -gt 0 ] || [ -f "$ROOT$record" ] || return 0
	for arg in $(sed '/^#/d' "$ROOT$record" 2>/dev/null || :); do
		has_words "$*" "$arg" || stale="$stale $arg"
	done
	if is_debian; then grub_by_file "$@"; else grub_by_grubby "$@"; fi
	write 0644 "$record" "$why"
}

# grub_by_file is Debian's and Ubuntu's way.
grub_by_file() {
	file=/etc/default/grub.d/60-rackseed.cfg cfg=$ROOT/boot/grub/grub.cfg
	text="# Written by Rackseed; /etc/rackseed/kernel-arguments says why.
GRUB_CMDLINE_LINUX=\"\$GRUB_CMDLINE_LINUX $*\""
	[ "$(cat "$ROOT$file" 2>/dev/null || :)" = "$text" ] && fresh=yes || fresh=no
	write 0644 "$file" "$text"
	[ -f "$cfg" ] || return 0
	if [ $fresh = yes ]; then
		booted=$(sed -n 's/^[[:space:]]*linux[[:space:]]//p' "$cfg" | head -n 1)
		! has_words "$booted" "$@" || return 0
	fi
	changed "boot loader: kernel arguments $*"
	! applies || { keep /boot/grub/grub.cfg && inside update-grub >/dev/null; }
}

# grub_by_grubby is the way of the RHEL family, whose kernels have boot entries of their own.
grub_by_grubby() {
	if [ -f "$ROOT/etc/default/grub" ]; then
		text=$(cat "$ROOT/etc/default/grub")
		now=$(printf '%s\n' "$text" | sed -n 's/^GRUB_CMDLINE_LINUX="\(.*\)"[[:space:]]*$/\1/p' | tail -n 1)
		next=''
		for arg in $now; do has_words "$* $stale" "$arg" || next="$next $arg"; done
		# In the order of the plan: hugepagesz says what the hugepages behind it are.
		[ $# -eq 0 ] || next="$next $*"
		if ! has_words "$now" "$@" || [ -n "$stale" ]; then
			write 0644 /etc/default/grub "$(printf '%s\n' "$text" | grep -v '^GRUB_CMDLINE_LINUX=' || :)
GRUB_CMDLINE_LINUX=\"${next# }\""
		fi
	fi
	inside sh -c 'command -v grubby' >/dev/null 2>&1 || return 0
	entries=$(inside grubby --info=ALL 2>/dev/null | sed -n 's/^args="\(.*\)"$/\1/p')
	[ -n "$entries" ] || return 0
	complete=yes
	while read -r entry; do
		has_words "$entry" "$@" || complete=no
	done <<-ENTRIES
		$entries
	ENTRIES
	[ $complete = no ] || [ -n "$stale" ] || return 0
	changed "boot loader: kernel arguments $*${stale:+, without$stale}"
	applies || return 0
	for file in "$ROOT"/boot/loader/entries/*.conf "$ROOT"/boot/grub2/grub.cfg "$ROOT"/boot/grub2/grubenv "$ROOT"/boot/efi/EFI/*/grub.cfg; do
		[ ! -f "$file" ] || keep "${file#"$ROOT"}"
	done
	[ -z "$stale" ] || inside grubby --update-kernel=ALL --remove-args="${stale# }"
	[ $# -eq 0 ] || inside grubby --update-kernel=ALL --args="$*"
}

# signing_key URL FILE fetches the key of a Debian repository.
signing_key() {
	[ ! -s "$ROOT$2" ] || return 0
	changed "$2"
	applies || return 0
	mkdir -p "$ROOT${2%/*}"
	if curl -fsS -m 20 -o "$ROOT$2.rackseed-new" "$1" && [ -s "$ROOT$2.rackseed-new" ]; then
		keep "$2"
		mv -f "$ROOT$2.rackseed-new" "$ROOT$2"
	else
		rm -f "$ROOT$2.rackseed-new"
		echo "rackseed: $1 cannot be fetched now; later: curl -o $2 $1" >&2
	fi
}
