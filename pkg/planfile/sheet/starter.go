package sheet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Starter writes the settings of a plan for the machines of a sheet, without
// the machines. What the sheet does not say is marked TODO, and Check finds
// most of it.
func Starter(t *Table) []byte {
	networks, roles := maps.Clone(t.Networks), map[string]bool{}
	for i := range t.Rows {
		n := &t.Rows[i].Node
		if n.Role != "" {
			roles[n.Role] = true
		}
		for name := range n.Addresses {
			if _, known := networks[name]; !known {
				networks[name] = site.Network{}
			}
		}
	}
	if _, known := networks["provision"]; !known {
		networks["provision"] = site.Network{}
	}
	var b strings.Builder
	b.WriteString(`# A plan made from an asset sheet. Work through what says TODO, then run
#   rackseed plan check
site: ""                  # TODO a name for the site

access:
  root: locked
  ssh_keys: []            # TODO the public keys of those who log in

provision:
  network: provision      # TODO the network that machines boot from
  dhcp: "off"             # TODO server, or proxy beside a DHCP server that is there

networks:
`)
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		n := networks[name]
		fmt.Fprintf(&b, "  %s:\n", name)
		if n.Subnet.IsValid() {
			fmt.Fprintf(&b, "    subnet: %s\n", n.Subnet)
		} else {
			b.WriteString("    subnet:               # TODO such as 10.20.0.0/16\n")
		}
		if n.Gateway.IsValid() {
			fmt.Fprintf(&b, "    gateway: %s\n", n.Gateway)
		} else {
			b.WriteString("    # gateway:            # TODO if it has one; dns and ntp, too\n")
		}
	}
	b.WriteString("\n# images:                 # TODO after rackseed image add FILE.iso --name rocky9\n#   rocky9: {file: Rocky-9.6-x86_64-dvd.iso}\n\nroles:\n")
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		fmt.Fprintf(&b, "  %s:\n    profile: %s\n    # image: rocky9       # TODO\n", name, name)
	}
	if len(roles) == 0 {
		b.WriteString("  {}                      # TODO\n")
	}
	b.WriteString("\nnodes:\n")
	return []byte(b.String())
}
