# send FILE succeeds once the laptop has taken the report, or does not want it any more.
send() {
	if command -v curl >/dev/null 2>&1; then
		status=$(curl -s -m 10 -o /dev/null -w '%{http_code}' --data-binary "@$1" "$url/verified") || return 1
		case $status in 2* | 404 | 409 | 410) return 0 ;; *) return 1 ;; esac
	elif command -v wget >/dev/null 2>&1; then
		wget -q -T 10 -t 1 -O /dev/null --post-file="$1" "$url/verified" 2>/dev/null
	else
		python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[2], open(sys.argv[1], "rb").read(), 10)' "$1" "$url/verified" 2>/dev/null
	fi
}

checks
[ "${1:-}" = --report ] || exit 0

# The laptop may be asleep or away: ask again, less and less often. What is in force is looked
# at anew each time, since the first try may come before everything has started.
secret=$ROOT/etc/rackseed/report
url=$(cat "$secret") || exit 1
found=$(mktemp) || exit 1
pause=2
while checks >"$found" 2>&1; ! send "$found"; do
	sleep "$pause"
	pause=$((pause * 2))
	[ "$pause" -le 300 ] || pause=300
done
rm -f "$found" "$secret"
systemctl --quiet disable rackseed-verify.service
