set -eu
umask 022
ROOT=${ROOT:-}

# put MODE FILE makes FILE what is on standard input.
put() {
	mkdir -p "$ROOT${2%/*}"
	new=$ROOT$2.rackseed-new
	(umask 077 && cat >"$new")
	if [ -f "$ROOT$2" ] && [ "$(cat "$ROOT$2")" = "$(cat "$new")" ]; then
		rm -f "$new"
	else
		mv -f "$new" "$ROOT$2"
		labelled "$2"
		echo "wrote $2"
	fi
	chmod "$1" "$ROOT$2"
}

# line MODE FILE TEXT adds a line to FILE, unless it is there.
line() {
	if ! grep -qxF -e "$3" "$ROOT$2" 2>/dev/null; then
		# grep ends a last line that has no end.
		{ grep '' "$ROOT$2" 2>/dev/null || :; printf '%s\n' "$3"; } | put "$1" "$2"
	fi
	chmod "$1" "$ROOT$2"
}

# labelled FILE gives it the SELinux label of its place.
labelled() {
	if [ -z "$ROOT" ] && command -v restorecon >/dev/null 2>&1; then restorecon "$1" 2>/dev/null || :; fi
}

# name_resolves ADDRESS NAME...: the name of this host must lead to the address that others
# reach it by. Debian's installer writes 127.0.1.1, which cluster software then announces.
name_resolves() {
	address=$1
	shift
	{
		grep -v -e '^127\.0\.1\.1[[:space:]]' -e '# rackseed$' "$ROOT/etc/hosts" 2>/dev/null || printf '127.0.0.1 localhost\n::1 localhost\n'
		echo "$address $* # rackseed"
	} | put 0644 /etc/hosts
}

# time_from SERVER... writes chrony's configuration, which Debian keeps in a folder of its own.
time_from() {
	conf=/etc/chrony.conf drift=/var/lib/chrony/drift
	if [ -d "$ROOT/etc/chrony" ]; then conf=/etc/chrony/chrony.conf drift=/var/lib/chrony/chrony.drift; fi
	{
		echo "# Written by Rackseed: the time servers of the plan, and none from the Internet."
		for server; do echo "server $server iburst"; done
		echo "driftfile $drift"
		echo "# A clock that is far off jumps in the first three updates; later it only slews."
		echo "makestep 1 3"
		echo "rtcsync"
	} | put 0644 "$conf"
}

# enable_unit NAME... enables the first of the services that this system has.
enable_unit() {
	for unit; do
		for place in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
			[ -f "$ROOT$place/$unit.service" ] || continue
			systemctl ${ROOT:+"--root=$ROOT"} --quiet enable "$unit.service"
			return
		done
	done
	echo "rackseed: no service $* to enable: its package is missing" >&2
	return 1
}
