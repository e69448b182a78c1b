package profile

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
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

// bondOption is what the driver takes for one of its options. NetworkManager
// refuses a whole profile, and with it the network, for a single option that
// does not go with the mode.
type bondOption struct {
	values []string // spelt as every network service knows them; nil means a number
	free   bool     // checked elsewhere
	modes  []string // nil means all
}

// bondOptions are those that every network service there is can write.
func bondOptions() map[string]bondOption {
	flag := []string{"0", "1"}
	one := []string{activeBackup, "balance-tlb", "balance-alb"}
	arp := []string{"balance-rr", activeBackup, "balance-xor", "broadcast"}
	return map[string]bondOption{
		"ad_select":         {values: []string{"stable", "bandwidth", "count"}, modes: []string{lacp}},
		"all_slaves_active": {values: flag},
		"arp_all_targets":   {values: []string{"any", "all"}, modes: arp},
		"arp_interval":      {modes: arp},
		"arp_ip_target":     {free: true, modes: arp},
		"arp_validate":      {values: []string{"none", "active", "backup", "all"}, modes: []string{activeBackup}},
		"downdelay":         {},
		"fail_over_mac":     {values: []string{"none", "active", "follow"}, modes: []string{activeBackup}},
		"lacp_rate":         {values: []string{"slow", "fast"}, modes: []string{lacp}},
		"miimon":            {},
		"min_links":         {modes: []string{lacp}},
		"packets_per_slave": {modes: []string{"balance-rr"}},
		"primary":           {free: true, modes: one},
		"primary_reselect":  {values: []string{"always", "better", "failure"}, modes: one},
		"resend_igmp":       {},
		"updelay":           {},
		"xmit_hash_policy":  {values: []string{"layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4"}, modes: []string{"balance-xor", lacp, "balance-tlb"}},
	}
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
	for _, name := range slices.Sorted(maps.Keys(b.Options)) {
		if err := checkBondOption(b, name); err != nil {
			return b, fmt.Errorf("options.%s: %w", name, err)
		}
		options[name] = b.Options[name]
	}
	for name, value := range bondDefaults(b) {
		if _, set := options[name]; !set {
			options[name] = value
		}
	}
	b.Options = options
	return b, nil
}

func checkBondOption(b site.Bond, name string) error {
	known := bondOptions()
	option, ok := known[name]
	value := b.Options[name]
	_, number := strconv.ParseUint(value, 10, 31)
	switch {
	case name == "mode":
		return errors.New("the mode stands beside options, as mode")
	case !ok:
		return fmt.Errorf("is not an option that can be set: use %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	case option.modes != nil && !slices.Contains(option.modes, b.Mode):
		return fmt.Errorf("does not go with mode %s: take it out, or use mode %s", b.Mode, strings.Join(option.modes, ", "))
	case name == "primary" && !slices.Contains(b.NICs, value):
		return fmt.Errorf("%q is not one of its NICs: use one of %s", value, strings.Join(b.NICs, ", "))
	case name == "arp_ip_target":
		return checkTargets(value)
	case name == "miimon" && value != "0" && b.Options["arp_interval"] != "":
		return errors.New("the driver watches the link either by miimon or by arp_interval: take one out")
	case option.values != nil && !slices.Contains(option.values, value):
		return fmt.Errorf("%q is not one of %s", value, strings.Join(option.values, ", "))
	case option.values == nil && !option.free && number != nil:
		return fmt.Errorf("%q is not a number", value)
	}
	return nil
}

func checkTargets(list string) error {
	for _, text := range strings.Split(list, ",") {
		if a, err := netip.ParseAddr(text); err != nil || !a.Is4() {
			return fmt.Errorf("%q is not an IPv4 address: write them with commas between, without blanks", text)
		}
	}
	return nil
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
