#!/bin/sh
# Rackseed: dracut sources this before it hands over to the new root, so it may neither exit nor leave
# anything changed in this shell.

# rackseed_overlay FROM puts what is at FROM into $NEWROOT, and tunes that.
rackseed_overlay() (
	set -e
	cp -a "$1/root/." "$NEWROOT/"
	cp "$1/tune.sh" "$NEWROOT/rackseed-tune.sh"
	# systemctl tells from /proc that it is not the running system's.
	mounted=
	trap 'for at in $mounted; do umount "$NEWROOT/$at" || :; done' EXIT
	for at in proc sys dev; do
		mount --bind "/$at" "$NEWROOT/$at"
		mounted="$at $mounted"
	done
	chroot "$NEWROOT" /bin/sh /rackseed-tune.sh
	rm -f "$NEWROOT/rackseed-tune.sh"
)

rackseed_log=${RACKSEED_LOG:-/run/rackseed-overlay.log}
# Not "if ! rackseed_overlay": there, set -e would be without effect.
rackseed_overlay "${RACKSEED_OVERLAY:-/rackseed}" >"$rackseed_log" 2>&1
rackseed_status=$?
[ "$rackseed_status" -eq 0 ] || {
	cat "$rackseed_log" >&2
	# A node without its name and its tuning must not join a cluster.
	die "Rackseed: this image did not become the node of the plan, see $rackseed_log"
}
