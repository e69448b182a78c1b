log=${RACKSEED_DISK_LOG:-/tmp/rs-disk.log}
include=${RACKSEED_INCLUDE:-/tmp/rackseed-disk.ks}
report early
prepare >"$log" 2>&1 || stop /tmp/anaconda.log /tmp/storage.log /tmp/syslog
cat "$log"

mirrored() { case $system in *' '*' '*) return 0 ;; *) return 1 ;; esac }

# place MOUNT TYPE MIB [--grow] puts something on the system disk, or on a mirror over both. The mirror
# that holds /boot/efi gets its superblock at the end, so that firmware sees each half as plain FAT.
place() {
	type=${2:+ --fstype=$2} mirrors=$((mirrors + 1)) half=0 halves=
	if ! mirrored; then
		echo "part $1$type --size=$3${4:+ $4} --ondisk=${system# }"
		return
	fi
	for one in $system; do
		half=$((half + 1)) halves="$halves raid.$mirrors$half"
		echo "part raid.$mirrors$half --size=$3${4:+ $4} --ondisk=$one"
	done
	name=$(printf '%s' "${1#/}" | tr -c 'a-z0-9\n' _)
	echo "raid $1 --level=RAID1 --device=${name:-root}$type$halves"
}

# The kernel's names are safe to use here: they hold until this installer reboots.
disks=$(echo $system | tr ' ' ,) mirrors=0
{
	echo "# $choice"
	echo "ignoredisk --only-use=$disks"
	echo "zerombr"
	echo "clearpart --all --initlabel --disklabel=gpt --drives=$disks"
	echo "bootloader --append=\"$kernel_arguments\" --boot-drive=${disks%%,*}"
	if [ -d "$sys/firmware/efi" ]; then
		place /boot/efi efi 600
	else
		# GRUB keeps its core here, since GPT leaves no gap after the boot sector.
		for one in $system; do echo "part biosboot --fstype=biosboot --size=1 --ondisk=$one"; done
	fi
	place /boot xfs 1024
	layout
} >"$include"
report disk "$choice"
