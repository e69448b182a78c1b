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

# within NAMES NAME tells whether NAME is a word of NAMES.
within() { case " $1 " in *" $2 "*) return 0 ;; *) return 1 ;; esac }

joined() { printf '%s' "$1" | tr '\n' ','; }

# links FOLDER PATTERN prints the links below /dev/disk/FOLDER that lead to $disk.
links() {
	for link in "$dev/disk/$1"/$2; do
		target=$(readlink "$link") || continue
		[ "${target##*/}" != "$disk" ] || printf '%s\n' "${link##*/}"
	done
}

# udev NAME prints what udev knows of a device, if there is udev.
udev() {
	command -v udevadm >/dev/null 2>&1 && udevadm info --query=property --name="$dev/$1" 2>/dev/null
}

property() { printf '%s\n' "$properties" | sed -n "s/^$1=//p" | tr -cd ' -~\n'; }

# inspect DISK learns what identifies it. A serial number has several sources that do not always
# agree: the SCSI page is padded, and udev and the BMC may each know another one.
inspect() {
	disk=$1 dir=$sys/block/$1
	properties=$(udev "$disk") || properties=
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
	about="/dev/$disk, $((size / 1000000000)) GB${model:+, model $model}${serials:+, serial $(joined "$serials")}${wwns:+, wwn $(joined "$wwns")}"
}

# unfit says why $disk may not be used whatever the plan says.
unfit() {
	[ "$size" -gt 0 ] || { echo "has no medium"; return; }
	[ "$(first "$dir/removable")" != 1 ] || { echo "is removable"; return; }
	[ "$(first "$dir/ro")" != 1 ] || { echo "is read-only"; return; }
	case $place/ in
	*/usb[0-9]*/*) echo "is attached by USB"; return ;;
	*/session[0-9]*/*) echo "is an iSCSI volume"; return ;;
	*/rport-*/*) echo "is a Fibre Channel volume"; return ;;
	esac
	for transport in "$dir/device/transport" "$dir"/device/nvme*/transport; do
		case $(first "$transport") in tcp | rdma | fc) echo "is an NVMe volume on the network"; return ;; esac
	done
	case $model in
	*[Vv]irtual?[Mm]edia* | *[Vv]irtual?CD* | *[Vv]irtual?[Ff]loppy* | *[Vv]irtual?HDisk* | *VirtualMedia*) echo "is virtual media of the BMC"; return ;;
	esac
	for holder in "$dir"/holders/* "$dir/$disk"*/holders/*; do
		holder=${holder##*/}
		case $(first "$sys/block/$holder/dm/uuid") in mpath-*) echo "is one path of multipath volume $holder"; return ;; esac
	done
	while read -r source rest; do
		case $source in "$dev/$disk" | "$dev/$disk"[0-9]* | "$dev/${disk}p"[0-9]*) echo "is in use by the installer (${rest%% *})"; return ;; esac
	done <"$mounts"
	[ "$size" -ge 8589934592 ] || { echo "is smaller than 8 GiB"; return; }
}

# amount BYTES says a size as plans do, where it is a round one.
amount() {
	case $1 in
	*000000000000) echo "${1%000000000000} TB" ;;
	*000000000) echo "${1%000000000} GB" ;;
	*) echo "$1 bytes" ;;
	esac
}

# differs WWN SERIAL PATH MODEL ROTATIONAL MIN MAX says in what $disk is not the disk of a selector.
differs() {
	[ -z "$1" ] || among "$wwns" "$(printf '%s\n' "$1" | plain_wwn)" || { echo "has another WWN"; return; }
	[ -z "$2" ] || among "$serials" "$(printf '%s' "$2" | upper)" || { echo "has another serial number"; return; }
	[ -z "$3" ] || among "$paths" "$3" || { echo "has another path"; return; }
	# udev writes underscores for blanks.
	[ -z "$4" ] || [ "$(printf '%s' "$model" | upper | tr ' ' _)" = "$(printf '%s' "$4" | upper | tr ' ' _)" ] || { echo "is another model"; return; }
	[ -z "$5" ] || [ "$rotational" = "$5" ] || { echo "is of the other kind (rotational=$rotational)"; return; }
	[ "$6" -eq 0 ] || [ "$size" -ge "$6" ] || { echo "is smaller than $(amount "$6")"; return; }
	[ "$7" -eq 0 ] || [ "$size" -le "$7" ] || { echo "is larger than $(amount "$7")"; return; }
}

# try USE COUNT TEXT FIELD... compares $disk with one selector.
try() {
	number=$((number + 1)) use=$1
	shift 3
	why=$unusable
	[ -n "$why" ] || why=$(differs "$@")
	if [ -n "$why" ]; then
		verdicts="$verdicts$number $disk $why
"
	else
		matches="$matches$number $disk
"
		uses="$uses $use"
	fi
}

# settle USE COUNT TEXT FIELD... takes the disks of one selector, if they are as many as it must have.
settle() {
	number=$((number + 1)) found='' count=0
	for one in $(printf '%s' "$matches" | sed -n "s/^$number //p"); do
		found="$found $one" count=$((count + 1))
	done
	case $1 in system) system=$system$found ;; *) osd=$osd$found ;; esac
	[ "$count" -ne "$2" ] && [ -z "$reason" ] || return 0
	must="exactly $2 must"
	[ "$2" -ne 1 ] || must="exactly one must"
	others=$(printf '%s' "$verdicts" | sed -n "s/^$number /; /p" | tr -d '\n')
	case $count in
	0) reason="no disk fits ($3)${others:-; there is no disk at all, is the driver of its controller missing?}" ;;
	1) reason="one disk fits ($3), $must:$found$others" ;;
	*) reason="$count disks fit ($3), $must:$found; name the right ones in the plan under disks.$1, by wwn or serial$others" ;;
	esac
}

# choose sets system and osd to the disks of the plan; unless each selector has as many as it must,
# and no disk belongs to two, it sets reason and fails.
choose() {
	echo "Rackseed looks for the disks of the plan:"
	selectors wish
	system='' osd='' choice='' matches='' verdicts='' reason='' list=''
	for entry in "$sys"/block/*; do
		case ${entry##*/} in
		'*' | loop* | ram* | zram* | sr* | fd* | nbd* | dm-* | md* | mtd* | drbd* | rbd* | mmcblk*boot* | mmcblk*rpmb) continue ;;
		esac
		# An NVMe disk that could have two ports shows each path to it as well, which has no device.
		[ "$(first "$entry/hidden")" != 1 ] || continue
		inspect "${entry##*/}"
		unusable=$(unfit) number=0 uses='' why=''
		selectors try
		[ -z "$uses" ] || why="fits$uses"
		echo "  $about${paths:+, path $(joined "$paths")}: $why"
		list="$list$disk $about
"
		case $uses in
		*' '*' '*) [ -n "$reason" ] || reason="$disk fits more than one selector ($(echo $uses)): each disk must belong to one" ;;
		esac
	done
	number=0
	selectors settle
	[ -z "$reason" ] || return 1
	for one in $system; do
		choice="$choice${choice:+; }$(printf '%s' "$list" | sed -n "s/^$one //p")"
	done
}

wish() { echo "  $1: $3"; }
