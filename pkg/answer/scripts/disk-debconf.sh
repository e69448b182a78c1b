log=${RACKSEED_DISK_LOG:-/tmp/rs-disk.log}
selections=${RACKSEED_SELECTIONS:-/tmp/rs-disk.preseed}
prepare >"$log" 2>&1 || stop /var/log/syslog /var/log/partman
cat "$log"

# halves NUMBER names the partition of that number on each system disk, as partman-auto-raid wants it.
halves() {
	printf '%s\n' $system | sed -e 's,.*,/dev/&,' -e "s/[0-9]\$/&p/" -e "s/\$/$1/" | tr '\n' '#' | sed 's/#$//'
}

disks=
for one in $system; do disks="$disks${disks:+ }/dev/$one"; done

# Only now may partman write: these are the answers that the preseed file leaves out. Some of the
# questions do not exist yet, which debconf-set would refuse; standard input is debconf's own here.
cat >"$selections" <<SELECTIONS
d-i partman-auto/disk string $disks
d-i grub-installer/bootdev string $disks
d-i partman-partitioning/confirm_write_new_label boolean true
d-i partman/choose_partition select finish
d-i partman/confirm boolean true
d-i partman/confirm_nooverwrite boolean true
d-i partman-lvm/device_remove_lvm boolean true
d-i partman-lvm/confirm boolean true
d-i partman-lvm/confirm_nooverwrite boolean true
d-i partman-md/device_remove_md boolean true
d-i partman-md/confirm boolean true
SELECTIONS
layout >>"$selections"
echo $system >"${selections%/*}/rs-system-disks"
debconf-set-selections "$selections" || {
	reason="the installer refused to be told of $disks"
	stop /var/log/syslog
}
report disk "$choice"
