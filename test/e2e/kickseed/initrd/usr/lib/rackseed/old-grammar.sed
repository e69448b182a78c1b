# What kickseed, of the grammar of 2005, needs changed in a kickstart for anaconda.

# It would take the body of a section that it has not for more of the section before.
/^%pre-install/,/^%end/d
/^%onerror/,/^%end/d

# Its sections ended where the next began. After %pre it tells what %pre wrote.
/^%pre/,/^%end/s,^%end,cat /tmp/rackseed-disk.ks,
/^%end/d
