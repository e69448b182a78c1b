
# disks_of NAME prints the disks that a block device stands on.
disks_of() (
	stands=
	for slave in "$sys/block/$1/slaves"/*; do
		slave=${slave##*/}
		[ "$slave" != '*' ] || continue
		stands=1
		disks_of "$slave"
	done
	[ -z "$stands" ] || return 0
	for whole in "$sys"/block/*; do
		whole=${whole##*/}
		[ "$whole" != "$1" ] && [ ! -d "$sys/block/$whole/$1" ] || echo "$whole"
	done
)

# above NAME prints what stands on a device or its partitions, lowest first.
above() (
	for holder in "$sys/block/$1/holders"/* "$sys/block/$1/$1"*/holders/*; do
		holder=${holder##*/}
		[ "$holder" != '*' ] || continue
		echo "$holder"
		above "$holder"
	done
)

partitions() (
	for part in "$sys/block/$1/$1"*; do
		[ ! -d "$part" ] || echo "${part##*/}"
	done
)

known() { udev "$1" | sed -n "s/^$2=//p" | tr -cd ' -~\n'; }

# member KIND NAME DEVICE prints a line for each disk that a part of an array or group stands on.
member() {
	for below in $(disks_of "$3"); do echo "$1 $2 $3 $below"; done
}

# members lists the parts of arrays and volume groups, those that do not run too: those that run are
# known to sysfs, those that do not only by their signatures.
members() {
	for entry in "$sys"/block/*; do
		entry=${entry##*/}
		case $entry in
		md*)
			for slave in "$sys/block/$entry/slaves"/*; do
				[ ! -e "$slave" ] || member array "$entry" "${slave##*/}"
			done
			;;
		dm-* | loop* | ram* | zram* | sr* | fd* | '*') ;;
		*)
			for part in "$entry" $(partitions "$entry"); do
				case $(known "$part" ID_FS_TYPE) in
				linux_raid_member) member array "$(known "$part" ID_FS_UUID | tr ' ' _)" "$part" ;;
				esac
			done
			;;
		esac
	done
	command -v lvm >/dev/null 2>&1 || return 0
	lvm pvs --noheadings --separator ' ' -o pv_name,vg_name 2>/dev/null | while read -r volume group; do
		[ -n "$group" ] || continue
		real=$(readlink -f "$volume") || real=$volume
		member group "$group" "${real##*/}"
	done
}

# unshared DISKS: nothing that stands on these disks may reach beyond them, whether it runs or not.
unshared() {
	for one in $1; do
		for thing in $(above "$one"); do
			for below in $(disks_of "$thing"); do
				within "$1" "$below" || { reason="$one shares $thing with $below: take that array or volume group apart first"; return 1; }
			done
		done
	done
	while read -r kind name device below; do
		within "$1" "$below" || continue
		while read -r other_kind other_name device other; do
			[ "$kind $name" = "$other_kind $other_name" ] || continue
			within "$1" "$other" || { reason="$below shares $kind $name with $other: take that array or volume group apart first"; return 1; }
		done <<MEMBERS
$parts
MEMBERS
	done <<MEMBERS
$parts
MEMBERS
}

# alone: a second volume group of the same name would be mistaken for this one at every boot.
alone() {
	[ -n "$new_group" ] || return 0
	while read -r kind name device below; do
		[ "$kind $name" = "group $new_group" ] || continue
		within "$system" "$below" || { reason="$below has a volume group $new_group as well: rename or remove it first"; return 1; }
	done <<MEMBERS
$parts
MEMBERS
}

room() {
	# Each half of a mirror keeps up to 128 MiB for its superblock and what may come (mdadm, super1.c).
	case $system in *' '*' '*) needed=$((needed + 128)) ;; esac
	for one in $system; do
		[ $(($(first "$sys/block/$one/size") / 2048)) -ge "$needed" ] || { reason="$one is too small: the layout of this role needs $needed MiB"; return 1; }
	done
}

# contents DISK says what is on a disk, and nothing if it is empty.
contents() {
	for part in $(partitions "$1"); do echo "partition $part"; done
	for thing in $(above "$1"); do echo "in use by $thing"; done
	{
		known "$1" ID_FS_TYPE
		known "$1" ID_PART_TABLE_TYPE
		! command -v blkid >/dev/null 2>&1 || blkid -p -o value -s TYPE -s PTTYPE "$dev/$1" 2>/dev/null
	} | sort -u | sed -e '/^$/d' -e 's/^/signature /'
}

# spare looks at the disks of OSDs.
spare() {
	kept=0 filled=0
	for one in $osd; do
		found=$(contents "$one")
		kept=$((kept + 1))
		[ -z "$found" ] || filled=$((filled + 1))
		echo "  $one for Ceph ($osd_policy): $(joined "${found:-empty}")"
		[ "$osd_policy" = fail-if-dirty ] || continue
		udev "$one" >/dev/null || command -v blkid >/dev/null 2>&1 || { reason="nothing here can tell whether $one is empty"; return 1; }
		[ -z "$found" ] || { reason="$one is for Ceph and must be empty, but has $(joined "$found"): wipe it, or change osd_policy"; return 1; }
	done
	if [ "$osd_policy" = zap ]; then
		unshared "$osd"
	else
		[ "$kept" -eq 0 ] || choice="$choice; $kept for Ceph are left as they are, $filled of them not empty"
	fi
}

# run COMMAND... says what it changes before it does. From the first change on the old system counts
# as gone, for the laptop too.
run() {
	[ -n "$begun" ] || report partitioned "$choice"
	begun=1
	echo "  + $*"
	"$@" || { reason="$* failed"; return 1; }
}

# ends DEVICE overwrites the first and the last MiB, where tables and superblocks are.
ends() {
	length=$(cat "$sys/block"/*/"$1/size" "$sys/block/$1/size" 2>/dev/null | head -n 1)
	length=${length:-0}
	run dd if=/dev/zero "of=$dev/$1" bs=512 count=$((length < 2048 ? length : 2048)) || return 1
	[ "$length" -le 2048 ] || run dd if=/dev/zero "of=$dev/$1" bs=512 count=2048 seek=$((length - 2048))
}

# blank DEVICE takes its signatures off. Debian's installer has no wipefs.
blank() {
	if command -v wipefs >/dev/null 2>&1; then run wipefs -a "$dev/$1"; else ends "$1"; fi
}

# standing KIND DISKS FIELD lists names or devices of arrays or groups on these disks.
standing() {
	printf '%s\n' "$parts" | while read -r kind name device below; do
		[ "$kind" = "$1" ] && within "$2" "$below" || continue
		case $3 in name) echo "$name" ;; *) echo "$device" ;; esac
	done | sort -u
}

# take_apart DISKS ends the arrays and volume groups that stand on these disks and nowhere else, and
# takes away what would bring them back.
take_apart() {
	things=
	for one in $1; do things="$(above "$one") $things"; done
	groups=$(standing group "$1" name)
	devices=$(standing array "$1" device)
	[ -n "$groups$devices" ] || return 0
	echo "Rackseed takes apart what an earlier system left on $(echo $1):"
	for group in $groups; do run lvm vgchange -an "$group" || return 1; done
	stopped=
	for thing in $(printf '%s\n' $things | sed -n '1!G;h;$p'); do
		case $thing in md*) within "$stopped" "$thing" || run mdadm --stop "$dev/$thing" || return 1 ;; esac
		stopped="$stopped $thing"
	done
	for device in $devices; do
		command -v mdadm >/dev/null 2>&1 || break # blank overwrites the superblock as well
		run mdadm --zero-superblock "$dev/$device" || return 1
	done
	for one in $1; do
		for part in $(partitions "$one") "$one"; do blank "$part" || return 1; done
	done
	run udevadm settle
}

# zap DISK empties a disk for Ceph, the second partition table at its end too.
zap() {
	for part in $(partitions "$1") "$1"; do blank "$part" || return 1; done
	if [ "$(first "$sys/block/$1/queue/rotational")" = 0 ] && command -v blkdiscard >/dev/null 2>&1; then
		run blkdiscard "$dev/$1" || echo "  $1 cannot discard, which does no harm"
		reason=
	fi
	ends "$1" || return 1
	run udevadm settle || return 1
	choice="$choice; emptied /dev/$1 for Ceph"
}

# prepare does all that comes before the installer's own writing. All of it is looked at first:
# nothing is changed unless everything fits.
prepare() {
	begun=
	choose && room || return 1
	parts=$(members)
	unshared "$system" && alone && spare || return 1
	take_apart "$system" || return 1
	[ "$osd_policy" = zap ] || return 0
	[ -z "$osd" ] || take_apart "$osd" || return 1
	for one in $osd; do zap "$one" || return 1; done
}

# stop ends the install; console, laptop and log say why.
stop() {
	report failed "disk: $reason"
	state="has written nothing"
	[ -z "$begun" ] || state="had begun to clear the disks above"
	{
		cat "$log"
		echo "Rackseed stops here and $state: $reason"
	} >"$log.told"
	cat "$log.told"
	cat "$log.told" >"${RACKSEED_CONSOLE:-/dev/console}" 2>/dev/null || :
	evidence "$log.told" "$@"
	exit 1
}
