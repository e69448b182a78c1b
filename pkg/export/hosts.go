package export

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// hosts writes /etc/hosts for a machine that the site did not install: the
// lines that its own nodes have, and the two that every system needs.
func hosts(s *Site) Export {
	var w warnings
	var missing []string
	lines := s.hostLines()
	known := map[string]bool{}
	for _, h := range lines {
		for _, name := range h.Names {
			known[name] = true
		}
	}
	for _, n := range s.Nodes {
		if !known[n.Name] {
			missing = append(missing, n.Name)
		}
	}
	if len(missing) > 0 {
		w.add("%s: no address that the plan reserves, so no line", abbreviate(missing))
	}
	var b strings.Builder
	b.WriteString(s.heading("/etc/hosts", "No name stands behind 127.0.1.1: RabbitMQ and Galera need each name to be the address on the management network."))
	b.WriteString(w.comment())
	b.WriteString("127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost localhost.localdomain ip6-localhost ip6-loopback\n\n")
	for _, h := range lines {
		fmt.Fprintf(&b, "%s\t%s\n", h.Addr, strings.Join(h.Names, " "))
	}
	return Export{Files: []File{{Name: "hosts", Text: b.String()}}, Warnings: w}
}

// hostLines are those that every node of the site gets.
func (s *Site) hostLines() []profile.Host {
	if len(s.Nodes) == 0 {
		return nil
	}
	return s.Nodes[0].Intent.Hosts
}
