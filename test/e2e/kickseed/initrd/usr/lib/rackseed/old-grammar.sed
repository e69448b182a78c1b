# What kickseed, of the grammar of 2005, needs changed in a kickstart for anaconda.

# It would take the body of a section that it has not for more of the section before.
/^%pre-install/,/^%end/d
/^%onerror/,/^%end/d

# %pre runs as it was rendered. Then what it wrote is put into what this installer can make: it has no
# XFS here, and partitions a BIOS machine the old way, where no BIOS boot partition is needed.
/^%pre/,/^%end/s,^%end,sed -i -e /biosboot/d -e s/=xfs/=ext4/ /tmp/rackseed-disk.ks; cat /tmp/rackseed-disk.ks,

# Its sections ended where the next began.
/^%end/d
