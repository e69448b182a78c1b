// Package lint finds what is wrong with a plan before anything is armed: what
// the plan itself shows, what its profiles ask for, and what the machines and
// the media cannot do. docs/lints.md has every finding on one page. The
// package is pure.
package lint

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// Checker knows what a check needs besides the plan.
type Checker struct {
	Profiles fs.FS         // that ship with Rackseed; a plan may bring its own
	Images   []site.Image  // in the library; a check without a daemon knows none
	Server   netip.Addr    // where machines find the daemon; not valid without one
	DHCP     site.DHCPMode // how the daemon serves; empty without one
}

// Check gives every finding about a plan. It takes time linear in the number
// of nodes, and resolves nodes that cannot differ once.
func (c Checker) Check(p *site.Plan) []site.Finding {
	r := &run{plan: p, findings: p.Check(), reported: map[key]int{}}
	resolver := profile.NewResolver(c.Profiles, &p.Settings, profile.NodesOf(p.Nodes))
	r.checkProfiles(resolver)
	r.checkServer(c.Server)
	r.checkMode(c.DHCP)
	r.checkImages(c.Images)
	r.checkWriters(c.Images)
	seen := map[string]bool{}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		k := profile.Shape(n)
		if seen[k] {
			continue
		}
		seen[k] = true
		if intent, err := resolver.Resolve(n); err == nil { // else checkProfiles has said why
			r.checkIntent(n, intent)
			r.checkDedicated(n, intent)
		}
	}
	return r.findings
}

type key struct{ id, path string }

// run is one check.
type run struct {
	plan     *site.Plan
	findings []site.Finding
	reported map[key]int
}

// add keeps the first finding of an id at a place.
func (r *run) add(f site.Finding) {
	k := key{f.ID, f.Path}
	if _, again := r.reported[k]; again {
		return
	}
	r.reported[k] = len(r.findings)
	r.findings = append(r.findings, f)
}

func (r *run) fail(id, path, fix, format string, args ...any) {
	r.add(site.Finding{ID: id, Severity: site.SeverityError, Path: path, Message: fmt.Sprintf(format, args...), Fix: fix})
}

func (r *run) warn(id, path, fix, format string, args ...any) {
	r.add(site.Finding{ID: id, Severity: site.SeverityWarning, Path: path, Message: fmt.Sprintf(format, args...), Fix: fix})
}

// setPlace is where a parameter of a node is given.
func (r *run) setPlace(n *site.Node, parameter string) string {
	if _, own := n.Set[parameter]; own {
		return cmp.Or(n.Place, "nodes."+n.Name) + ".set." + parameter
	}
	return "roles." + n.Role + ".set." + parameter
}
