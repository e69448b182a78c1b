log=${RACKSEED_DISK_LOG:-/tmp/rs-disk.log}
selections=${RACKSEED_SELECTIONS:-/tmp/rs-disk.preseed}
choose >"$log" 2>&1 || stop /var/log/syslog /var/log/partman
cat "$log"

# Only now may partman write: these are the answers that the preseed file leaves out. Some of the
# questions do not exist yet, which debconf-set would refuse; standard input is debconf's own here.
cat >"$selections" <<SELECTIONS
d-i partman-auto/disk string /dev/$chosen
d-i grub-installer/bootdev string /dev/$chosen
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
debconf-set-selections "$selections" || {
	reason="the installer refused to be told of $chosen"
	stop /var/log/syslog
}
report disk "$choice"
