# Tests point these at a tree of their own.
sys=${RACKSEED_SYS:-/sys}
dev=${RACKSEED_DEV:-/dev}
mounts=${RACKSEED_MOUNTS:-/proc/mounts}

# first FILE prints the first line of a file, without the blanks around it. What a disk says of
# itself ends up in the kickstart, so nothing but ASCII passes.
first() {
	text=
	[ ! -r "$1" ] || IFS=' 	' read -r text 2>/dev/null <"$1" || :
	printf '%s' "$text" | tr -cd ' -~'
}

upper() { tr 'a-z' 'A-Z'; }

# plain_wwn takes off what sysfs, udev and lsblk each put before the same number.
plain_wwn() {
	tr 'A-Z' 'a-z' | tr -d ':-' | sed -e 's/^wwn//' -e 's/^nvmeeui\.//' -e 's/^naa\.//' -e 's/^eui\.//' -e 's/^uuid\.//' -e 's/^0x//' -e '/^$/d'
}

# among LIST VALUE tells whether VALUE is a line of LIST.
among() { printf '%s\n' "$1" | grep -qxF -e "$2"; }

joined() { printf '%s' "$1" | tr '\n' ','; }

# links FOLDER PATTERN prints the links below /dev/disk/FOLDER that lead to $disk.
links() {
	for link in "$dev/disk/$1"/$2; do
		target=$(readlink "$link") || continue
		[ "${target##*/}" != "$disk" ] || printf '%s\n' "${link##*/}"
	done
}

property() { printf '%s\n' "$properties" | sed -n "s/^$1=//p" | tr -cd ' -~\n'; }

# inspect DISK learns what identifies it. A serial number has several sources that do not always
# agree: the SCSI page is padded, and udev and the BMC may each know another one.
inspect() {
	disk=$1 dir=$sys/block/$1
	properties=
	if command -v udevadm >/dev/null 2>&1; then
		properties=$(udevadm info --query=property --name="$dev/$disk" 2>/dev/null) || properties=
	fi
	sectors=$(first "$dir/size")
	size=$((${sectors:-0} * 512))
	place=$(cd -P "$dir" 2>/dev/null && pwd) || place=$dir
	model=$(first "$dir/device/model")
	[ -n "$model" ] || model=$(property ID_MODEL)
	rotational=$(first "$dir/queue/rotational")
	serials=$({
		first "$dir/serial" && echo
		first "$dir/device/serial" && echo
		[ ! -r "$dir/device/vpd_pg80" ] || dd if="$dir/device/vpd_pg80" bs=1 skip=4 2>/dev/null | tr -cd ' -~'
		echo
		property ID_SERIAL_SHORT
		property ID_SCSI_SERIAL
	} | upper | sed -e 's/^ *//' -e 's/ *$//' -e '/^$/d' | sort -u)
	wwns=$({
		first "$dir/wwid" && echo
		first "$dir/device/wwid" && echo
		links by-id 'wwn-*'
		links by-id 'nvme-eui.*'
	} | plain_wwn | sort -u)
	paths=$(links by-path '*')
}

# unfit says why $disk may not hold a system whatever the plan says.
unfit() {
	[ "$size" -gt 0 ] || { echo "has no medium"; return; }
	[ "$(first "$dir/removable")" != 1 ] || { echo "is removable"; return; }
	[ "$(first "$dir/ro")" != 1 ] || { echo "is read-only"; return; }
	case $place/ in
	*/usb[0-9]*/*) echo "is attached by USB"; return ;;
	*/session[0-9]*/*) echo "is an iSCSI volume"; return ;;
	*/rport-*/*) echo "is a Fibre Channel volume"; return ;;
	esac
	case $(first "$dir/device/transport") in tcp | rdma | fc) echo "is an NVMe volume on the network"; return ;; esac
	case $model in
	*[Vv]irtual?[Mm]edia* | *[Vv]irtual?CD* | *[Vv]irtual?[Ff]loppy* | *[Vv]irtual?HDisk* | *VirtualMedia*) echo "is virtual media of the BMC"; return ;;
	esac
	for holder in "$dir"/holders/* "$dir/$disk"*/holders/*; do
		holder=${holder##*/}
		case $(first "$sys/block/$holder/dm/uuid") in mpath-*) echo "is one path of multipath volume $holder"; return ;; esac
		for slave in "$sys/block/$holder/slaves"/*; do
			slave=${slave##*/}
			[ "$slave" = '*' ] || [ "$slave" = "$disk" ] || [ -d "$dir/$slave" ] || { echo "shares $holder with $slave: take that array or volume group apart first"; return; }
		done
	done
	while read -r source rest; do
		case $source in "$dev/$disk" | "$dev/$disk"[0-9]* | "$dev/${disk}p"[0-9]*) echo "is in use by the installer (${rest%% *})"; return ;; esac
	done <"$mounts"
	[ "$size" -ge 8589934592 ] || { echo "is smaller than 8 GiB"; return; }
}

# differs says in what $disk is not the disk of the plan.
differs() {
	[ -z "$want_wwn" ] || among "$wwns" "$(printf '%s\n' "$want_wwn" | plain_wwn)" || { echo "has another WWN"; return; }
	[ -z "$want_serial" ] || among "$serials" "$(printf '%s' "$want_serial" | upper)" || { echo "has another serial number"; return; }
	[ -z "$want_path" ] || among "$paths" "$want_path" || { echo "has another path"; return; }
	# udev writes underscores for blanks.
	[ -z "$want_model" ] || [ "$(printf '%s' "$model" | upper | tr ' ' _)" = "$(printf '%s' "$want_model" | upper | tr ' ' _)" ] || { echo "is another model"; return; }
	[ -z "$want_rotational" ] || [ "$rotational" = "$want_rotational" ] || { echo "is of the other kind (rotational=$rotational)"; return; }
	[ "$want_min" -eq 0 ] || [ "$size" -ge "$want_min" ] || { echo "is smaller than $want_min bytes"; return; }
	[ "$want_max" -eq 0 ] || [ "$size" -le "$want_max" ] || { echo "is larger than $want_max bytes"; return; }
}

# choose sets chosen to the one disk that fits; otherwise it sets reason and fails.
choose() {
	echo "Rackseed looks for the system disk: $wanted"
	chosen='' choice='' fitting='' count=0 verdicts=''
	for dir in "$sys"/block/*; do
		case ${dir##*/} in
		'*' | loop* | ram* | zram* | sr* | fd* | nbd* | dm-* | md* | mtd* | drbd* | rbd* | mmcblk*boot* | mmcblk*rpmb) continue ;;
		esac
		inspect "${dir##*/}"
		why=$(unfit)
		[ -n "$why" ] || why=$(differs)
		about="/dev/$disk, $((size / 1000000000)) GB${model:+, model $model}${serials:+, serial $(joined "$serials")}${wwns:+, wwn $(joined "$wwns")}"
		echo "  $about${paths:+, path $(joined "$paths")}: ${why:-fits}"
		if [ -z "$why" ]; then
			chosen=$disk choice=$about fitting="$fitting $disk" count=$((count + 1))
		else
			verdicts="$verdicts; $disk $why"
		fi
	done
	case $count in
	1) return 0 ;;
	0) reason="no disk fits ($wanted)${verdicts:-; there is no disk at all, is the driver of its controller missing?}" ;;
	*) reason="$count disks fit ($wanted), exactly one must:$fitting; name the right one in the plan under disks.system, by wwn or serial" ;;
	esac
	chosen=
	return 1
}

# stop ends the install before anything was written; console, laptop and log say why.
stop() {
	report failed "disk: $reason"
	{
		cat "$log"
		echo "Rackseed stops here and has written nothing: $reason"
	} >"$log.told"
	cat "$log.told"
	cat "$log.told" >"${RACKSEED_CONSOLE:-/dev/console}" 2>/dev/null || :
	evidence "$log.told" "$@"
	exit 1
}
