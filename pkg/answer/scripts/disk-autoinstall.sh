log=${RACKSEED_DISK_LOG:-/tmp/rs-disk.log}
config=${RACKSEED_AUTOINSTALL:-/autoinstall.yaml}
report early
prepare >"$log" 2>&1 || stop /var/log/syslog /var/log/installer/subiquity-server-debug.log
cat "$log"

# The installer reads its file again after this script. Until now the file names disks that do not
# exist, so an installer that was not told of the right ones can write to none.
bios=true uefi=false
[ ! -d "$sys/firmware/efi" ] || bios=false uefi=true
edits="s/rackseed-bios/$bios/;s/rackseed-uefi/$uefi/" number=0
for disk in $system; do
	number=$((number + 1))
	edits="$edits;s,/dev/rackseed/system$number\\>,/dev/$disk,"
done
if ! sed -i -e "$edits" "$config" || ! grep -q "/dev/$disk\\>" "$config" || grep -q /dev/rackseed/system "$config"; then
	reason="the installer could not be told of$system in $config"
	stop "$config"
fi
report disk "$choice"
# The next thing that the installer does to these disks is to wipe them, and it has no hook there.
# Whoever loses power from here on may have lost the old system.
report partitioned

# Packages come when the target is mounted. The installer waits until whoever holds its pipes has
# gone. exec, because a redirected function keeps a copy of what it will restore.
watch_target() {
	until grep -q ' /target ' "$mounts"; do sleep 2; done
	report packages
}
(
	exec </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
	watch_target
) &
