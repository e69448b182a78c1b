report partitioned
report packages
