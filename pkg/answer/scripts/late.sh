set -e
report post
reason=''
trap 'test $? = 0 || { report failed "late_command stopped: ${reason:-see its log in the evidence}"; evidence /var/log/syslog; }' EXIT

wget -q -O /target/tmp/rackseed-tune "$answer_url/tune.sh"
in-target env "RACKSEED_PACKAGES=$packages" sh /tmp/rackseed-tune || {
	reason=$(sed -n 's/.*in-target: rackseed: //p' /var/log/syslog | tail -n 1) # where in-target puts what it hears
	false
}
rm -f /target/tmp/rackseed-tune

# The installer speaks English, which every console can show; the system speaks what the plan says.
if [ "$language" != en_US.UTF-8 ] && [ -f /target/etc/locale.gen ]; then
	echo "$language ${language##*.}" >>/target/etc/locale.gen
	in-target locale-gen
	in-target update-locale "LANG=$language"
fi

rm -f /target/etc/apt/apt.conf.d/00rackseed-installer /target/etc/dpkg/dpkg.cfg.d/rackseed-installer
# The laptop leaves, and its repository with it.
[ ! -f /target/etc/apt/sources.list ] || sed -i 's,^deb ,# only while Rackseed installed: &,' /target/etc/apt/sources.list
report "done"
