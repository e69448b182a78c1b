net_state=/var/lib/rackseed/network

# net_remember copies what the change may touch, and what runs now.
net_remember() {
	rm -rf "$net_state"
	(umask 077 && mkdir -p "$net_state/before")
	net_rollback_text >"$net_state/rollback"
	echo "$net_style" >"$net_state/style"
	printf '%s\n' "$nm_dir" /etc/NetworkManager/conf.d "$ifcfg_dir" /etc/netplan /etc/systemd/network /etc/network/interfaces \
		/etc/resolv.conf /etc/cloud/cloud.cfg.d/99-rackseed-network.cfg >"$net_state/paths"
	while read -r path; do
		[ -e "$path" ] || [ -L "$path" ] || continue
		mkdir -p "$net_state/before${path%/*}"
		cp -a "$path" "$net_state/before$path"
	done <"$net_state/paths"
	ls /sys/class/net >"$net_state/links"
	printf '%s\n' $net_links >"$net_state/new-links"
	for unit in NetworkManager systemd-networkd; do
		! service_of "$unit" >/dev/null || { enabled "$unit.service" && echo "$unit enable" || echo "$unit disable"; }
	done >"$net_state/units"
	systemctl is-active systemd-networkd >"$net_state/networkd" 2>/dev/null || :
	nmcli -t -f UUID connection show --active >"$net_state/active" 2>/dev/null || :
}

# net_timer SECONDS starts what brings the old network back.
net_timer() {
	systemctl --quiet stop rackseed-network-rollback.timer 2>/dev/null || :
	echo $$ >"$net_state/pending"
	if [ -d /run/systemd/system ] && systemd-run --quiet --collect --unit=rackseed-network-rollback --on-active="$1" /bin/sh "$net_state/rollback" $$ 2>/dev/null; then return; fi
	(
		trap '' HUP
		exec </dev/null >"$net_state/rollback.log" 2>&1
		sleep "$1"
		exec /bin/sh "$net_state/rollback" $$
	) &
}

# net_load puts the files in force.
net_load() {
	case $net_style in
	keyfile | ifcfg)
		nmcli connection reload
		for uuid in $net_uuids; do nmcli --wait 30 connection up uuid "$uuid" || :; done
		;;
	netplan) netplan apply ;;
	networkd)
		systemctl restart systemd-networkd
		networkctl reload
		;;
	esac
}

net_change() {
	if [ "$net_style" = networkd ] && ! grep -q '^active' "$net_state/networkd" && command -v ifdown >/dev/null 2>&1; then
		ifdown -a --force || :
	fi
	net_written
	net_load
}

# network_apply SECONDS changes the network of this running system. Unless network_confirm comes
# within that time, the old network comes back. What goes wrong is told by lacks.
network_apply() {
	if ! applies; then
		net_written || :
		return 0
	fi
	if [ -n "$ROOT" ]; then
		net_written
		return
	fi
	# Before anything else: its files are as planned, and yet may go.
	if [ -e "$net_state/pending" ]; then
		lacks "a change of the network still waits for its confirmation: sh $0 --confirm-network"
		return 0
	fi
	would=$(mode=dry-run journal='' && net_written) || return 0
	[ -n "$would" ] || return 0
	! command -v open_backup >/dev/null || open_backup
	net_remember
	net_timer "$1"
	# The session that this runs in may be cut off, and must not take the change with it half way.
	(
		trap '' HUP PIPE
		exec </dev/null >"$net_state/log" 2>&1
		net_change
	) &
	wait $! || {
		cat "$net_state/log" >&2
		/bin/sh "$net_state/rollback"
		lacks "the network could not be changed; the old one is back"
		return 0
	}
	cat "$net_state/log"
	echo "The network of the plan is in force. Confirm it within $1 seconds, or the old one comes back: sh $0 --confirm-network"
}

# network_confirm keeps the new network.
network_confirm() {
	if ! mv "$net_state/pending" "$net_state/confirmed" 2>/dev/null; then
		echo "rackseed: no change of the network waits for a confirmation; $(cat "$net_state/rolled-back" 2>/dev/null || echo none was made)" >&2
		return 1
	fi
	systemctl --quiet stop rackseed-network-rollback.timer 2>/dev/null || :
	echo "The network of the plan stays."
}

network_all() {
	case ${RACKSEED_CONFIRM_WITHIN:=120} in
	*[!0-9]*) lacks "RACKSEED_CONFIRM_WITHIN=$RACKSEED_CONFIRM_WITHIN is not a number of seconds; the network was left alone" ;;
	*) network_apply "$RACKSEED_CONFIRM_WITHIN" ;;
	esac
}
