# masked FILE... prints files, or what comes in, without password hashes and without tokens.
masked() { sed -e 's/\$[1256y]\$[^[:space:]"]*/[masked]/g' -e 's,\(/answer/\|/report/\)[^/[:space:]]*,\1[token],g' "$@"; }

# evidence FILE... sends logs to the laptop.
evidence() {
	[ -n "$report_url" ] || return 0
	bag=$(mktemp -d /tmp/rs-evidence.XXXXXX) || return 0
	for file in "$@"; do
		[ -f "$file" ] || continue
		masked "$file" >"$bag/${file##*/}" 2>/dev/null || :
	done
	# The kernel begins with its command line, where the token is.
	dmesg 2>&1 | masked >"$bag/dmesg" || :
	ip address >"$bag/ip" 2>&1 || :
	cat /proc/partitions >"$bag/partitions" 2>&1 || :
	if command -v lsblk >/dev/null 2>&1; then lsblk -O -J >"$bag/lsblk.json" 2>&1 || :; fi
	tar -C "$bag" -cf "$bag.tar" . 2>/dev/null || return 0
	# Debian's installer has no gzip.
	if command -v gzip >/dev/null 2>&1; then gzip -c "$bag.tar" >"$bag.send"; else mv "$bag.tar" "$bag.send"; fi
	if command -v curl >/dev/null 2>&1; then
		curl -s -m 60 --retry 2 -o /dev/null -T "$bag.send" "$report_url/evidence" || :
	else
		wget -q -T 60 -t 2 -O /dev/null --method=PUT --body-file="$bag.send" "$report_url/evidence" || :
	fi
	rm -rf "$bag" "$bag.tar" "$bag.send"
}
