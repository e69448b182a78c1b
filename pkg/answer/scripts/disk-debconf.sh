log=/tmp/rs-disk.log
choose >"$log" 2>&1 || stop /var/log/syslog /var/log/partman
cat "$log"

# Only now may partman write: these are the answers that the preseed file leaves out.
debconf-set partman-auto/disk "/dev/$chosen"
debconf-set grub-installer/bootdev "/dev/$chosen"
for question in partman-partitioning/confirm_write_new_label partman/confirm partman/confirm_nooverwrite \
	partman-lvm/device_remove_lvm partman-lvm/confirm partman-lvm/confirm_nooverwrite \
	partman-md/device_remove_md partman-md/confirm; do
	debconf-set "$question" true
done
debconf-set partman/choose_partition finish
report disk "$choice"
