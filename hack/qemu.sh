#!/bin/sh
# qemu.sh: prints a folder whose qemu-system-x86_64 can emulate Linux for an hour.
# The one of Debian 12 (7.2) cannot: now and then an interrupt finds the carry flag full of other bits (in the
# kernel's slab allocator), and the machine ends in a double fault with EFLAGS that no x86 has. 10.0 has not been
# seen to, and forks and execs four times as fast.
set -eu
cd "$(dirname "$0")/.."

major=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\)\..*/\1/p')
if [ "${major:-0}" -ge 10 ]; then
	dirname "$(command -v qemu-system-x86_64)"
	exit 0
fi

tree=$(hack/trixie.sh --tree qemu-system-x86)
lib=$tree/usr/lib/x86_64-linux-gnu
mkdir -p "$tree/wrapped"
# Its own loader and libraries: this machine's are older.
cat >"$tree/wrapped/qemu-system-x86_64" <<END
#!/bin/sh
export QEMU_MODULE_DIR='$lib/qemu'
exec '$lib/ld-linux-x86-64.so.2' --library-path '$lib' '$tree/usr/bin/qemu-system-x86_64' \\
	-L '$tree/usr/share/qemu' -L '$tree/usr/share/seabios' -L '$tree/usr/lib/ipxe/qemu' "\$@"
END
chmod 755 "$tree/wrapped/qemu-system-x86_64"
"$tree/wrapped/qemu-system-x86_64" --version >&2
echo "$tree/wrapped"
