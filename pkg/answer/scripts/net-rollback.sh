# Puts back the network that was there before, unless the new one was confirmed.
set -u
PATH=$PATH:/usr/sbin:/sbin
here=$(dirname "$0")
# The timer of an earlier change, which went back at once or was confirmed, has no say in this one.
[ $# = 0 ] || [ "$(cat "$here/pending" 2>/dev/null)" = "$1" ] || exit 0
# Who moves this file first wins: a confirmation at the last moment, or this script.
mv "$here/pending" "$here/rolling-back" 2>/dev/null || exit 0
read -r style <"$here/style"

while read -r path; do
	rm -rf "$path"
	# A link that leads nowhere from there is still a link.
	if [ -e "$here/before$path" ] || [ -L "$here/before$path" ]; then cp -a "$here/before$path" "$path"; fi
done <"$here/paths"
while read -r unit state; do
	systemctl --quiet "$state" "$unit"
done <"$here/units"

# remove_links takes away what the new network made.
remove_links() {
	while read -r link; do
		grep -qxF -e "$link" "$here/links" || ip link delete "$link" 2>/dev/null
	done <"$here/new-links"
}

case $style in
keyfile | ifcfg)
	nmcli connection reload
	while read -r uuid; do
		nmcli --wait 30 connection up uuid "$uuid"
	done <"$here/active"
	;;
netplan)
	remove_links
	netplan apply
	;;
networkd)
	if grep -q '^active' "$here/networkd"; then
		remove_links
		networkctl reload
		while read -r link; do networkctl reconfigure "$link"; done <"$here/links"
	else
		systemctl stop systemd-networkd.socket systemd-networkd
		remove_links
		while read -r link; do [ "$link" = lo ] || ip address flush dev "$link"; done <"$here/links"
		ifup -a --force
	fi
	;;
esac
echo "rackseed: the network was not confirmed: the old one is back" | tee "$here/rolled-back" | { logger -t rackseed 2>/dev/null || :; }
rm -f "$here/rolling-back"
