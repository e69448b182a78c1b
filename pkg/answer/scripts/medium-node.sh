
sys=${RACKSEED_SYS:-/sys}
medium=${RACKSEED_MEDIUM:-/run/rackseed-medium}
include=${RACKSEED_NODE_INCLUDE:-/tmp/rackseed-node.ks}
log=${RACKSEED_NODE_LOG:-/tmp/rs-node.told}
macs=" $(cat "$sys"/class/net/*/address 2>/dev/null | tr 'A-F\n' 'a-f ') "
serial=$(cat "$sys/class/dmi/id/product_serial" 2>/dev/null | tr -cd ' -~' | sed -e 's/^ *//' -e 's/ *$//' | tr 'a-z' 'A-Z')
found='' count=0

# fits FILES NAME SERIAL MAC... remembers a node that this machine may be.
fits() {
	files=$1 name=$2 wanted=$(printf '%s' "$3" | tr 'a-z' 'A-Z') why=''
	shift 3
	[ -z "$wanted" ] || [ "$wanted" != "$serial" ] || why="serial $serial"
	for mac; do
		case $macs in *" $mac "*) why="$why${why:+, }mac $mac" ;; esac
	done
	[ -n "$why" ] || return 0
	echo "  $name: $why"
	found=$files names="${names:-}${names:+, }$name" count=$((count + 1))
}

# give_up says why, and ends the install with nothing written.
give_up() {
	echo "Rackseed stops here and has written nothing: $1" | tee "$log"
	cat "$log" >"${RACKSEED_CONSOLE:-/dev/console}" 2>/dev/null || :
	exit 1
}

echo "Rackseed looks for this machine: serial ${serial:-not known}, macs$macs"
nodes fits
case $count in
1) ;;
0) give_up "this medium is for none of its MACs ($macs) nor for its serial number ($serial)" ;;
*) give_up "it may be any of $names: two nodes of the plan share a MAC or a serial number" ;;
esac
if [ ! -d "$medium" ]; then
	mkdir -p "$medium"
	mount -o ro -L OEMDRV "$medium" || give_up "the volume OEMDRV cannot be mounted"
fi
sh "$medium/nodes/$found.sh" || exit 1
cp "$medium/nodes/$found.cfg" "$include" || give_up "$medium/nodes/$found.cfg cannot be read"
