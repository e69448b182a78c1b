# Debian keeps one EFI partition. The second disk gets the same, and stays so after each update of the
# boot loader, so that the machine starts from either disk alone.
second_esp() {
	for one in $(cat "${RACKSEED_SYSTEM:-/tmp/rs-system-disks}"); do
		case $one in *[0-9]) esp=${one}p1 ;; *) esp=${one}1 ;; esac
		! grep -q "^/dev/$esp $target/boot/efi " "$mounts" || continue
		mkdir -p "$target/boot/efi2" &&
			mount -t vfat "/dev/$esp" "$target/boot/efi2" &&
			cp -r "$target/boot/efi/." "$target/boot/efi2/" &&
			umount "$target/boot/efi2" || return 1
		id=$(chroot "$target" blkid -o value -s UUID "/dev/$esp") && [ -n "$id" ] || return 1
		# With either disk gone, the system must not wait for its partition.
		sed -i '/[[:space:]]\/boot\/efi[[:space:]]/s/umask=0077/umask=0077,nofail/' "$target/etc/fstab"
		echo "UUID=$id /boot/efi2 vfat umask=0077,nofail 0 1" >>"$target/etc/fstab"
		cat >"$target/etc/apt/apt.conf.d/60rackseed-esp" <<'HOOK'
DPkg::Post-Invoke { "if mountpoint -q /boot/efi && mountpoint -q /boot/efi2; then cp -ru /boot/efi/. /boot/efi2/ || true; fi"; };
HOOK
		# Without an entry of its own the disk still starts by \EFI\BOOT.
		loader=$(cd "$target/boot/efi/EFI/debian" && ls shim*.efi grub*.efi 2>/dev/null | tail -n 1)
		in-target efibootmgr -c -d "/dev/$one" -p 1 -L "debian on $one" -l "\\EFI\\debian\\$loader" ||
			echo "rackseed: the firmware took no entry for $one"
	done
}

target=${RACKSEED_TARGET:-/target} mounts=${RACKSEED_MOUNTS:-/proc/mounts}
if [ -d "${RACKSEED_SYS:-/sys}/firmware/efi" ]; then
	second_esp || {
		report failed "the EFI partition could not be copied to the second system disk"
		evidence /var/log/syslog
		exit 1
	}
fi
