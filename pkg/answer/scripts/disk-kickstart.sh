log=${RACKSEED_DISK_LOG:-/tmp/rs-disk.log}
include=${RACKSEED_INCLUDE:-/tmp/rackseed-disk.ks}
report early
choose >"$log" 2>&1 || stop /tmp/anaconda.log /tmp/storage.log /tmp/syslog
cat "$log"

# The kernel's name is safe to use here: it holds until this installer reboots.
{
	echo "# $choice"
	echo "ignoredisk --only-use=$chosen"
	echo "zerombr"
	echo "clearpart --all --initlabel --disklabel=gpt --drives=$chosen"
	echo "bootloader --append=\"$kernel_arguments\" --boot-drive=$chosen"
	if [ -d "$sys/firmware/efi" ]; then
		echo "part /boot/efi --fstype=efi --size=600 --ondisk=$chosen"
	else
		# GRUB keeps its core here, since GPT leaves no gap after the boot sector.
		echo "part biosboot --fstype=biosboot --size=1 --ondisk=$chosen"
	fi
	echo "part /boot --fstype=xfs --size=1024 --ondisk=$chosen"
	echo "part / --fstype=xfs --size=5120 --grow --ondisk=$chosen"
} >"$include"
report disk "$choice"
