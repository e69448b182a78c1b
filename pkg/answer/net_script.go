package answer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// tuneNetwork writes the final network into the files of a system, in force
// from its next boot. It needs the functions of tune.sh.
func tuneNetwork(s *script, t *Target) {
	if netFunctions(s, t) {
		s.say("net_written")
	}
}

// changeNetwork adds network_all, which changes the network of the running
// system and takes it back unless network_confirm is called in time. It
// reports whether the plan has a network for the node.
func changeNetwork(s *script, t *Target) bool {
	if !netFunctions(s, t) {
		return false
	}
	s.set("net_uuids", "interfaces", strings.Join(profileUUIDs(t.Intent.Node, t.Intent.Network), " "))
	s.say("net_rollback_text() {", fmt.Sprintf("\tcat <<'%s'", endOfText), "#!/bin/sh")
	s.piece("net-rollback")
	s.say(endOfText, "}")
	s.piece("net-apply")
	return true
}

// netFunctions adds net.sh and what it reads of the plan.
func netFunctions(s *script, t *Target) bool {
	n := t.Intent.Network
	if n == nil {
		return false
	}
	style, err := netStyleOf(t.Image)
	if err == nil {
		var files []netFile
		if files, err = networkFiles(style, t.Intent.Node, n); err == nil {
			section(s, "The network: ports by MAC, then bonds, then VLANs.")
			s.piece("net-ports")
			s.piece("net")
			s.set("net_style", "network", string(style))
			netFacts(s, n)
			netPorts(s, n)
			netFileFunction(s, files)
		}
	}
	if err != nil && s.err == nil {
		s.err = err
	}
	return true
}

// netFacts are what the scripts must know of the network as a whole.
func netFacts(s *script, n *profile.Network) {
	var links []string
	for _, i := range n.Interfaces {
		if i.Kind != profile.Ethernet {
			links = append(links, s.item("interface", i.Name))
		}
	}
	s.set("net_links", "interfaces", strings.Join(links, " "))
	s.set("net_servers", "dns", strings.Join(nameServers(n), " "))
}

// profileUUIDs gives NetworkManager's profiles in the order in which they can
// come up: a bond before its ports ask for it, and a VLAN after both.
func profileUUIDs(node string, n *profile.Network) []string {
	w := &netWriter{node: node, n: n}
	var uuids []string
	for _, kind := range []profile.InterfaceKind{profile.BondKind, profile.Ethernet, profile.VLAN} {
		for _, i := range n.Interfaces {
			if i.Kind == kind {
				uuids = append(uuids, w.uuid(i.Name))
			}
		}
	}
	return uuids
}

// nameServers lists them once, those of the interface that leads out first:
// resolvers ask in order, and three at most.
func nameServers(n *profile.Network) []string {
	var all []string
	for _, out := range []bool{true, false} {
		for _, i := range n.Interfaces {
			for _, a := range i.DNS {
				if i.Gateway.IsValid() == out && !slices.Contains(all, a.String()) {
					all = append(all, a.String())
				}
			}
		}
	}
	return all
}

func netPorts(s *script, n *profile.Network) {
	s.say("net_ports() {")
	for _, i := range n.Interfaces {
		if i.Kind != profile.Ethernet {
			continue
		}
		port := "\tport"
		for _, word := range portWords(i) {
			port += " " + s.shell("nics."+i.Name, word)
		}
		s.say(port + " || return")
	}
	s.say("}")
}

func netFileFunction(s *script, files []netFile) {
	s.say("net_files() {")
	for _, f := range files {
		s.say(fmt.Sprintf("netfile %s %s <<'%s' || return", f.mode, f.path, endOfText), strings.TrimSuffix(f.text, "\n"), endOfText)
	}
	s.say("}")
}
