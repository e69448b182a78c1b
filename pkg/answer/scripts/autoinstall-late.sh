set -e
report post
target=${RACKSEED_TARGET:-/target} cdrom=${RACKSEED_CDROM:-/cdrom} log=${RACKSEED_TUNE_LOG:-/tmp/rs-tune.log} reason=''
trap 'test $? = 0 || { report failed "late-commands stopped: ${reason:-see the log of the installer in the evidence}"; evidence "$log" /var/log/syslog /var/log/installer/subiquity-server-debug.log /var/log/installer/curtin-install.log; }' EXIT

in_target() { curtin in-target "--target=$target" -- "$@"; }

# The installer has taken its own sources back by now. What the medium has needs no network.
pool=$target/etc/apt/sources.list.d/rackseed-medium.list
if [ -d "$cdrom/dists" ]; then
	mkdir -p "$target/cdrom" "${pool%/*}"
	mountpoint -q "$target/cdrom" || mount --bind "$cdrom" "$target/cdrom"
	echo "deb [trusted=yes check-date=no] file:///cdrom $(sed -n 's/^VERSION_CODENAME=//p' "$target/etc/os-release") main restricted" >"$pool"
fi

cp /run/rackseed/tune.sh "$target/run-rackseed-tune.sh"
in_target env "RACKSEED_PACKAGES=$packages" sh /run-rackseed-tune.sh >"$log" 2>&1 || {
	cat "$log"
	reason=$(sed -n 's/^rackseed: //p' "$log" | tail -n 1)
	false
}
cat "$log"
rm -f "$target/run-rackseed-tune.sh"
if [ -f "$pool" ]; then
	rm -f "$pool"
	umount "$target/cdrom" && rmdir "$target/cdrom" || :
fi
in_target usermod -p "$root_password" root
in_target ssh-keygen -A

# Everything that cloud-init would do at the first boot is done. It would make host keys anew, and
# write the installer's network over the planned one.
mkdir -p "$target/etc/cloud"
: >"$target/etc/cloud/cloud-init.disabled"
# What autoinstall's apt.conf was for is over.
rm -f "$target/etc/apt/apt.conf.d/94curtin-config"
report "done"
