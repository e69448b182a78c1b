package profile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// The modes of the bonding driver that a default depends on.
const (
	lacp         = "802.3ad"
	activeBackup = "active-backup"
)

// bondModes are those of the bonding driver (Linux,
// Documentation/networking/bonding.rst).
var bondModes = []string{"balance-rr", activeBackup, "balance-xor", "broadcast", lacp, "balance-tlb", "balance-alb"}

// bondOptions are the driver's options that every network service there is
// can write.
var bondOptions = []string{
	"ad_select", "all_slaves_active", "arp_all_targets", "arp_interval", "arp_ip_target", "arp_validate", "downdelay", "fail_over_mac", "lacp_rate",
	"miimon", "min_links", "packets_per_slave", "primary", "primary_reselect", "resend_igmp", "updelay", "xmit_hash_policy",
}

// decideBond fills in what the plan leaves open. The mode is active-backup
// then, the only one that asks nothing of the switch.
func decideBond(b site.Bond) (site.Bond, error) {
	if len(b.NICs) == 0 {
		return b, errors.New("it has no NICs: add nics")
	}
	if b.Mode == "" {
		b.Mode = activeBackup
	}
	if !slices.Contains(bondModes, b.Mode) {
		return b, fmt.Errorf("%q is not a mode: use one of %s", b.Mode, strings.Join(bondModes, ", "))
	}
	options := map[string]string{}
	for name, value := range b.Options {
		if name == "mode" {
			return b, errors.New("options.mode: the mode stands beside options, as mode")
		}
		if !slices.Contains(bondOptions, name) {
			return b, fmt.Errorf("options.%s is not an option that can be set: use %s", name, strings.Join(bondOptions, ", "))
		}
		if value == "" || strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`"'\$;#@`, c) }) {
			return b, fmt.Errorf("options.%s: %q is not a value of the bonding driver", name, value)
		}
		options[name] = value
	}
	for name, value := range bondDefaults(b) {
		if _, set := options[name]; !set {
			options[name] = value
		}
	}
	if p, set := options["primary"]; set && !slices.Contains(b.NICs, p) {
		return b, fmt.Errorf("options.primary: %q is not one of its NICs: use one of %s", p, strings.Join(b.NICs, ", "))
	}
	b.Options = options
	return b, nil
}

// bondDefaults are the driver's own choices corrected: out of the box it does
// not look at the link at all (miimon 0), notices a dead LACP partner after
// 90 seconds (lacp_rate slow) and puts all traffic between two hosts on one
// member (layer2).
func bondDefaults(b site.Bond) map[string]string {
	out := map[string]string{}
	if _, arp := b.Options["arp_interval"]; !arp {
		out["miimon"] = "100"
	}
	switch b.Mode {
	case lacp:
		maps.Copy(out, map[string]string{"lacp_rate": "fast", "xmit_hash_policy": "layer3+4"})
	case activeBackup:
		out["primary"] = b.NICs[0]
	}
	return out
}
