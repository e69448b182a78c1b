// Package lint finds what is wrong with a plan before anything is armed: what
// the plan itself shows, what its profiles ask for, and what the machines and
// the media cannot do. docs/lints.md has every finding on one page. The
// package is pure.
package lint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// Checker knows what a check needs besides the plan.
type Checker struct {
	Profiles fs.FS        // that ship with Rackseed; a plan may bring its own
	Images   []site.Image // in the library; a check without a daemon knows none
}

// Check gives every finding about a plan. It takes time linear in the number
// of nodes, and resolves nodes that cannot differ once.
func (c Checker) Check(p *site.Plan) []site.Finding {
	r := &run{plan: p, findings: p.Check(), reported: map[key]int{}}
	usable := r.checkProfiles(c.Profiles)
	r.stop = site.HasErrors(r.findings)
	resolver := profile.NewResolver(c.Profiles, &p.Settings, profile.NodesOf(p.Nodes))
	r.checkImages(c.Images)
	r.checkWriters(c.Images)
	seen := map[string]bool{}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		k := fingerprint(n)
		if !usable[n.Role] || seen[k] {
			continue
		}
		seen[k] = true
		intent, err := resolver.Resolve(n)
		if err != nil {
			r.unresolved(n, err)
			continue
		}
		r.checkIntent(n, intent)
		r.checkDedicated(n, intent)
	}
	return r.findings
}

// fingerprint is the same for nodes whose Intents differ in names, addresses
// and identities alone.
func fingerprint(n *site.Node) string {
	if len(n.Set) == 0 && n.Hardware.CPUs() == 0 && n.Hardware.Memory == 0 && len(n.Hardware.Disks) == 0 && n.Hardware.Arch == "" && len(n.Disks.OSD) == 0 {
		return n.Role + "\x00" + n.Image
	}
	return fmt.Sprintf("%s\x00%s\x00%v\x00%v\x00%v\x00%v", n.Role, n.Image, n.Set, n.Hardware, n.Disks.OSD, n.Disks.OSDDB)
}

type key struct{ id, path string }

// run is one check.
type run struct {
	plan     *site.Plan
	findings []site.Finding
	reported map[key]int
	stop     bool // the plan has errors already, of which an unresolved node may be a consequence
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

// unresolved reports why nothing can be generated for a node.
func (r *run) unresolved(n *site.Node, err error) {
	if p, ok := errors.AsType[*profile.Problem](err); ok {
		r.fail(p.ID, r.place(n, p.Path), p.Fix, "%s: %s", n.Name, p.Message)
		return
	}
	if !r.stop {
		r.fail("node-unresolvable", "roles."+n.Role, "correct what the message names", "%v", err)
	}
}

// place finds what a path below a role or a node means in the plan: set.ksm
// stands where the value is given.
func (r *run) place(n *site.Node, path string) string {
	if strings.HasPrefix(path, "roles.") || strings.HasPrefix(path, "nodes") {
		return path
	}
	own := cmp.Or(n.Place, "nodes."+n.Name)
	role := "roles." + n.Role
	head, name, _ := strings.Cut(path, ".")
	_, inNode := n.Set[name]
	switch {
	case head == "set" && inNode:
		return own + "." + path
	case head == "set":
		return role + "." + path
	case path == "":
		return role
	default:
		return role + "." + path
	}
}
