#!/bin/sh
# inside.sh ROOT COMMAND...: runs COMMAND in ROOT, as root of namespaces of its own (see enter in the
# test): no network but lo, no disk, and of the kernel's parameters only those of this network are
# writable.
set -eu
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs none "$root/sys/block"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,rw "$root/proc/sys/net"
for dir in dev run tmp; do mount -t tmpfs -o mode=0755 none "$root/$dir"; done
chmod 1777 "$root/tmp"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
ln -s /proc/self/fd "$root/dev/fd"
# As a boot does.
hostname -F "$root/etc/hostname"
ip link set lo up
# Chrony's package must not get at the clock of this machine, nor anything at its modules.
exec setpriv --bounding-set=-sys_time,-sys_module,-sys_boot,-sys_rawio,-sys_nice \
	chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
