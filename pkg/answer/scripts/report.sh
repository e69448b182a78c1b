# report STAGE [DETAIL] tells the laptop how far this machine is. It never fails: a laptop that
# is away must not stop an install.
report() {
	[ -n "$report_url" ] || return 0
	if command -v curl >/dev/null 2>&1; then
		curl -s -m 5 --retry 2 -o /dev/null --data-raw "${2:-}" "$report_url/$1" || :
	elif command -v wget >/dev/null 2>&1; then
		wget -q -T 5 -t 2 -O /dev/null --post-data="${2:-}" "$report_url/$1" || :
	fi
}
