set -e
report post
target=${RACKSEED_TARGET:-/target}
trap 'test $? = 0 || { report failed "late-commands stopped, see the log of the installer in the evidence"; evidence /var/log/syslog /var/log/installer/subiquity-server-debug.log /var/log/installer/curtin-install.log; }' EXIT

in_target() { curtin in-target "--target=$target" -- "$@"; }

cp /run/rackseed/tune.sh "$target/run-rackseed-tune.sh"
in_target sh /run-rackseed-tune.sh
rm -f "$target/run-rackseed-tune.sh"
in_target usermod -p "$root_password" root
in_target ssh-keygen -A

# Everything that cloud-init would do at the first boot is done. It would make host keys anew, and
# write the installer's network over the planned one.
mkdir -p "$target/etc/cloud"
: >"$target/etc/cloud/cloud-init.disabled"
# What autoinstall's apt.conf was for is over.
rm -f "$target/etc/apt/apt.conf.d/94curtin-config"
report "done"
