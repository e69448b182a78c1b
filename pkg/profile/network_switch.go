package profile

import (
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// SwitchHint is what a switch must be told so that a machine can boot over a
// bond that speaks LACP: firmware does not.
type SwitchHint struct {
	Bond     string
	NICs     []string
	Ports    []string // of the switch, as far as the plan has them
	Vendor   string   // as under fallback in the plan
	Commands []string
}

// fallbacks are, by vendor, the commands that let one member of an aggregate
// pass traffic before LACP is negotiated, each on the aggregate or its ports
// as that vendor has it. From the vendors' command references; firmware
// differs in the spelling.
func fallbacks() []SwitchHint {
	return []SwitchHint{
		{Vendor: "huawei", Commands: []string{"interface Eth-Trunk N", "mode lacp-static", "lacp force-forward"}},
		{Vendor: "h3c", Commands: []string{"interface Bridge-Aggregation N", "link-aggregation mode dynamic", "lacp edge-port"}},
		{Vendor: "cisco", Commands: []string{"interface port-channel N", "no lacp suspend-individual"}},
		{Vendor: "arista", Commands: []string{"interface Port-Channel N", "port-channel lacp fallback individual"}},
		{Vendor: "juniper", Commands: []string{"set interfaces PORT ether-options 802.3ad lacp force-up"}},
		{Vendor: "dell", Commands: []string{"interface port-channel N", "lacp fallback enable"}},
		{Vendor: "cumulus", Commands: []string{"nv set interface bondN bond lacp-bypass on"}},
		{Vendor: "ruckus", Commands: []string{"lag NAME dynamic id N", "force-up ethernet PORT"}},
	}
}

// SwitchHints says what the switch needs for each 802.3ad bond that carries
// the provisioning network. With the vendor under fallback in the plan there
// is one hint a bond; otherwise one for each vendor.
func SwitchHints(s *site.Settings, n *Network) []SwitchHint {
	if n == nil {
		return nil
	}
	var hints []SwitchHint
	for _, i := range n.Interfaces {
		if i.Kind != BondKind || i.Bond.Mode != lacp || !slices.Contains(i.Networks, s.Provision.Network) {
			continue
		}
		known := fallbacks()
		if j := slices.IndexFunc(known, func(h SwitchHint) bool { return h.Vendor == strings.ToLower(i.Bond.Fallback) }); j >= 0 {
			known = known[j : j+1]
		}
		for _, h := range known {
			h.Bond, h.NICs, h.Ports = i.Name, i.Bond.NICs, n.switchPorts(i.Bond.NICs)
			hints = append(hints, h)
		}
	}
	return hints
}

func (n *Network) switchPorts(nics []string) []string {
	var ports []string
	for _, i := range n.Interfaces {
		if slices.Contains(nics, i.Name) && i.NIC.Port != "" {
			ports = append(ports, strings.TrimSpace(i.NIC.Switch+" "+i.NIC.Port))
		}
	}
	return ports
}
