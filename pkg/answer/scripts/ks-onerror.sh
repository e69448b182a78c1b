reason=$(sed -n 's/^.*\(ERR\|CRT\)[^:]*://p' /tmp/anaconda.log 2>/dev/null | tail -n 1)
report failed "the installer stopped: ${reason:-see the evidence}"
evidence /tmp/anaconda.log /tmp/program.log /tmp/storage.log /tmp/packaging.log /tmp/dnf.librepo.log \
	/tmp/syslog /mnt/sysimage/root/rackseed-tune.log /tmp/rs-*.log /tmp/ks-script-*.log /tmp/anaconda-tb-* /run/install/ks.cfg /run/anaconda/initrd_errors.txt
