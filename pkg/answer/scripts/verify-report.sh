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

# settle writes what differs to a file. Services may still be starting at the first boot: it looks
# again for a minute, until nothing differs.
settle() {
	for pause in 1 2 3 4 5 5 5 5 10 10 10 0; do
		checks >"$1" 2>&1
		[ -s "$1" ] && [ "$pause" != 0 ] || return 0
		sleep "$pause"
	done
}

found=$(mktemp) || exit 1
trap 'rm -f "$found"' EXIT
if [ "${1:-}" != --report ]; then
	checks >"$found" 2>&1
	cat "$found"
	[ ! -s "$found" ]
	exit
fi

# The laptop may be asleep or away: ask again, less and less often. What is in force is looked
# at anew each time.
secret=$ROOT/etc/rackseed/report
url=$(cat "$secret") || exit 1
settle "$found"
cat "$found"
pause=2
until send "$found"; do
	sleep "$pause"
	pause=$((pause * 2))
	[ "$pause" -le 300 ] || pause=300
	checks >"$found" 2>&1
done
rm -f "$secret"
systemctl --quiet disable rackseed-verify.service
