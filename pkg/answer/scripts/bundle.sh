usage() {
	cat <<HELP
Makes this system what $node must be (role $role, profile $profile), and tells what it changes.
It was made for $family systems. It touches no disk, and running it again changes nothing.

  sh $0 [--dry-run | --diff] [--no-packages] [--network]
  sh $0 --verify | --confirm-network | --restore BACKUP

  --dry-run          name what would change, and change nothing
  --diff             show it line by line, and change nothing
  --verify           compare what is in force with the plan, one deviation a line
  --no-packages      install no packages
  --network          change the network as well; it goes back by itself unless confirmed in time
  --confirm-network  keep the changed network
  --restore BACKUP   bring back the files of a backup: a name below $backups, or latest
  --help             this text

Files are copied to $backups/TIME before their first change.
Exit status: 0 as planned, 1 something is missing or differs, 2 wrong usage or another system.
HELP
}

stop() {
	status=$1
	shift
	echo "rackseed: $*" >&2
	exit "$status"
}

wrong_usage() { stop 2 "$1: sh $0 --help"; }

# family_here says which of the families that a bundle can be made for this system is of.
family_here() {
	(
		ID='' ID_LIKE=''
		# shellcheck source=/dev/null
		. "$ROOT/etc/os-release"
		case " $ID $ID_LIKE " in
		*" ubuntu "*) echo ubuntu ;;
		*" debian "*) echo debian ;;
		*" openEuler "*) echo openeuler ;;
		*" kylin "*) echo kylin ;;
		*" rhel "* | *" centos "* | *" fedora "*) echo rhel ;;
		*) echo "$ID" ;;
		esac
	)
}

right_system() {
	[ -r "$ROOT/etc/os-release" ] || stop 2 "there is no /etc/os-release, so this system cannot be told"
	here=$(family_here)
	[ "$here" = "$family" ] || stop 2 "this bundle was made for $family, and this system is ${here:-unknown}: make one with rackseed bundle $node --for $here"
	[ "$(id -u)" = 0 ] || stop 2 "only root can do this"
}

# open_backup makes the folder of this run, at its first change.
open_backup() {
	[ -z "$backup" ] || return 0
	mkdir -p "$ROOT$backups"
	chmod 0700 "$ROOT$backups"
	backup=$(date -u +%Y%m%dT%H%M%SZ)
	until mkdir "$ROOT$backups/$backup" 2>/dev/null; do backup=$backup+; done
	backup=$ROOT$backups/$backup
}

keep() {
	open_backup
	if [ "$1" = unit ]; then
		if enabled "$2"; then echo "enable $2"; else echo "disable $2"; fi >>"$backup/units"
		return
	fi
	[ ! -e "$backup/files$1" ] && ! grep -qsxF -e "$1" "$backup/new" || return 0
	if [ -e "$ROOT$1" ]; then
		mkdir -p "$backup/files${1%/*}"
		cp -a "$ROOT$1" "$backup/files$1"
	else
		echo "$1" >>"$backup/new"
	fi
}

lacks() {
	if ! applies && [ -n "$missing" ]; then
		echo "not known before the packages are there: $*"
		return
	fi
	echo "rackseed: $*" >&2
	echo "$*" >>"$work/lacking"
}

is_installed() {
	case $family in
	debian | ubuntu) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
	*) rpm -q --quiet --whatprovides "$1" >/dev/null 2>&1 ;;
	esac
}

# packages_of_release: from release 10 on, br_netfilter and what iptables stands on are in a package
# of their own.
packages_of_release() {
	(
		VERSION_ID=''
		# shellcheck source=/dev/null
		. "$ROOT/etc/os-release"
		case $family:$VERSION_ID in rhel:1[0-9]*) echo kernel-modules-extra ;; esac
	)
}

install_packages() {
	[ "$with_packages" = yes ] || return 0
	for name in $packages $(packages_of_release); do is_installed "$name" || missing="$missing $name"; done
	[ -n "$missing" ] || return 0
	changed "packages installed:$missing"
	applies || return 0
	open_backup
	echo "$missing" >>"$backup/packages"
	# shellcheck disable=SC2086
	fetch_packages $missing || stop 1 "packages cannot be installed:$missing; mend the repositories, or go on without: sh $0 --no-packages"
	missing=''
}

fetch_packages() {
	case $family in
	debian | ubuntu)
		# The index may be of yesterday, or there may be none yet.
		apt_install "$@" || { apt-get -q update && apt_install "$@"; }
		;;
	*)
		if command -v dnf >/dev/null 2>&1; then dnf -y install "$@"; else yum -y install "$@"; fi
		;;
	esac
}

apt_install() { DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold install "$@"; }

did() { grep -q -e "^$1" "$journal"; }

# now COMMAND... puts something in force; what cannot be is for the next boot.
now() { "$@" || echo "rackseed: failed now, and holds from the next boot: $*" >&2; }

in_force() {
	if [ -n "$ROOT" ] || [ ! -d /run/systemd/system ]; then
		echo "systemd does not run here: what was changed holds from the next boot."
		return
	fi
	if did /etc/systemd/; then now systemctl daemon-reload; fi
	if did /etc/hostname; then now hostname "$(cat /etc/hostname)"; fi
	if did /etc/modprobe.d/ || did /etc/modules-load.d/; then now systemctl restart systemd-modules-load; fi
	if did /etc/modules-load.d/ || did /etc/sysctl.d/; then now systemctl restart systemd-sysctl; fi
	if did /etc/tmpfiles.d/; then now systemd-tmpfiles --create /etc/tmpfiles.d/60-rackseed.conf; fi
	if did /etc/systemd/journald.conf.d/; then now systemctl restart systemd-journald; fi
	if did /etc/tuned/; then now systemctl restart tuned; fi
	if did /etc/chrony; then now systemctl restart "$(service_of chrony chronyd)"; fi
	sed -n 's/^service \(.*\): enabled$/\1/p' "$journal" >"$work/units"
	while read -r unit; do now systemctl start "$unit"; done <"$work/units"
	if did /etc/udev/; then
		now udevadm control --reload
		now udevadm trigger --subsystem-match=block --action=change
	fi
	if did 'boot loader' || did /etc/systemd/system.conf.d/ || did /etc/default/grub; then
		echo "Kernel arguments and limits of services hold from the next boot: reboot when it suits."
	fi
}

outcome() {
	if [ ! -s "$journal" ]; then
		echo "Nothing to change: this system is what $node must be."
	elif applies; then
		echo "Changes made: $(grep -c '' "$journal")${backup:+; the files as they were: ${backup#"$ROOT"}}"
	else
		echo "Changes to make: $(grep -c '' "$journal"); nothing was changed."
	fi
	if [ -s "$work/lacking" ]; then
		echo "Not complete:"
		sed 's/^/  /' "$work/lacking"
		return 1
	fi
}

apply() {
	tune_all
	if [ "$with_network" = yes ]; then
		network_all
	fi
	if [ -n "$backup" ]; then cp "$journal" "$backup/changes"; fi
	if applies && [ -s "$journal" ]; then in_force; fi
	outcome
}

# as_before FILE brings it back from the backup.
as_before() {
	[ ! -f "$ROOT$1" ] || [ "$(cat "$from/files$1")" != "$(cat "$ROOT$1")" ] || [ "$(stat -c %a "$from/files$1")" != "$(stat -c %a "$ROOT$1")" ] || return 0
	changed "$1: as before"
	applies || return 0
	mkdir -p "$ROOT${1%/*}"
	cp -a "$from/files$1" "$ROOT$1.rackseed-new"
	mv -f "$ROOT$1.rackseed-new" "$ROOT$1"
	labelled "$1"
}

restore() {
	case $1 in
	latest) from=$(find "$ROOT$backups" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort | tail -n 1) ;;
	*/*) from=$1 ;;
	*) from=$ROOT$backups/$1 ;;
	esac
	[ -n "$from" ] && [ -d "$from" ] || stop 2 "there is no backup $1: $(ls "$ROOT$backups" 2>/dev/null | tr '\n' ' ')"
	if [ -d "$from/files" ]; then
		(cd "$from/files" && find . ! -type d) >"$work/kept"
		while read -r file; do as_before "${file#.}"; done <"$work/kept"
	fi
	if [ -f "$from/new" ]; then
		while read -r file; do
			[ -e "$ROOT$file" ] || continue
			changed "$file: removed, it was not there before"
			! applies || rm -f "$ROOT$file"
		done <"$from/new"
	fi
	if [ -f "$from/units" ]; then
		while read -r verb unit; do
			if enabled "$unit"; then is=enable; else is=disable; fi
			[ "$is" != "$verb" ] || continue
			changed "service ${unit%.service}: ${verb}d as before"
			! applies || systemctl ${ROOT:+"--root=$ROOT"} --quiet "$verb" "$unit"
		done <"$from/units"
	fi
	[ ! -f "$from/packages" ] || echo "Packages stay:$(cat "$from/packages")"
	if [ ! -s "$journal" ]; then
		echo "Nothing to bring back: the files are those of the backup."
	elif applies; then
		echo "Changes made: $(grep -c '' "$journal"); reboot to put the old values in force."
	else
		echo "Changes to make: $(grep -c '' "$journal"); nothing was changed."
	fi
}

backups=/var/lib/rackseed/backup backup='' missing=''
action=apply with_packages=yes with_network=no
while [ $# -gt 0 ]; do
	case $1 in
	--dry-run) mode='dry-run' ;;
	--diff) mode='diff' ;;
	--verify) action=verify ;;
	--no-packages) with_packages=no ;;
	--network) with_network=yes ;;
	--confirm-network) action=confirm ;;
	--restore)
		[ $# -gt 1 ] || wrong_usage "--restore needs the name of a backup"
		action=restore which=$2
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	*) wrong_usage "$1 is not known" ;;
	esac
	shift
done

right_system
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
journal=$work/changes
: >"$journal"
case $action in
apply) apply ;;
verify)
	verify_text >"$work/verify"
	sh "$work/verify"
	;;
confirm) network_confirm ;;
restore) restore "$which" ;;
esac
