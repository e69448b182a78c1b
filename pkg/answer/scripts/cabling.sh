# Cables are compared with the plan before a disk is touched. What the laptop says of them stands on
# the console and beside the node; with wiring: enforce whatever is wrong, or cannot be told, ends the
# install here.
fetch_agent() {
	if command -v curl >/dev/null 2>&1; then
		curl -sf -m 120 -o "$1" "$agent_url"
	else
		wget -q -T 60 -O "$1" "$agent_url"
	fi
}

check_cabling() {
	[ -n "$report_url" ] || return 0
	agent=${RACKSEED_AGENT:-/tmp/rackseed-discover}
	echo "Rackseed compares the cables with the plan; switches speak every 30 seconds."
	if ! fetch_agent "$agent" || ! chmod 0755 "$agent"; then
		cables="the cables cannot be checked: the laptop does not hand out the program for it"
		return 1
	fi
	cables=$("$agent" --check "$report_url" 2>&1)
	checked=$?
	rm -f "$agent"
	[ "$checked" -ne 0 ] || return 0
	# 3 is the laptop's word; whatever else means that nobody could tell.
	[ "$checked" -eq 3 ] || cables="the cables cannot be checked: $cables"
	return 1
}

log=${RACKSEED_DISK_LOG:-/tmp/rs-disk.log} cables='' wrong='' begun=''
check_cabling || wrong=yes
[ -z "$cables" ] || printf 'Rackseed: %s\n' "$cables" | tee "${RACKSEED_CONSOLE:-/dev/console}" 2>/dev/null || :
if [ -n "$wrong" ] && [ "$wiring" = enforce ]; then
	reason=$(printf '%s' "$cables" | tr '\n' ';')
	report failed "cabling: $reason"
	: >"$log"
	stop
fi
