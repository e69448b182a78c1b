# The disk script has said what it found.
[ ! -f "${RACKSEED_DISK_LOG:-/tmp/rs-disk.log}.told" ] || exit 0
log=/var/log/installer/subiquity-server-debug.log
reason=$(sed -n 's/^.* ERROR [^ ]* //p' "$log" 2>/dev/null | tail -n 1)
report failed "the installer stopped: ${reason:-see the evidence}"
evidence "$log" /var/log/installer/curtin-install.log /var/log/installer/installer-journal.txt /var/log/cloud-init.log \
	/var/log/syslog /tmp/rs-*.log /var/crash/*.crash
