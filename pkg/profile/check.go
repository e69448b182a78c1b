package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Check finds what the profiles of a plan's roles ask for and do not get. What
// has nothing to do with a profile is for site.Check. The same mistake of
// many nodes of a role or a range is one finding.
func Check(shipped fs.FS, p *site.Plan) []site.Finding {
	return CheckWith(NewResolver(shipped, &p.Settings, NodesOf(p.Nodes)), p)
}

// CheckWith is Check with the profiles that a Resolver has read.
func CheckWith(r *Resolver, p *site.Plan) []site.Finding {
	c := &checker{plan: p, resolver: r, nodes: map[string]int{}, at: map[[2]string]int{}}
	for i := range p.Nodes {
		c.nodes[p.Nodes[i].Role]++
	}
	c.checkProfiles()
	c.checkNodes()
	c.checkNetworks()
	c.checkCounts()
	for i, n := range c.repeats {
		if n > 0 {
			c.findings[i].Message += fmt.Sprintf(" (and %d more like it)", n)
		}
	}
	return c.findings
}

type checker struct {
	plan     *site.Plan
	resolver *Resolver
	nodes    map[string]int // by role
	findings []site.Finding
	repeats  []int // of findings, by index
	at       map[[2]string]int
}

func (c *checker) report(severity site.Severity, id, path, fix, format string, args ...any) {
	key := [2]string{id, path}
	if i, ok := c.at[key]; ok {
		c.repeats[i]++
		return
	}
	c.at[key] = len(c.findings)
	c.findings = append(c.findings, site.Finding{ID: id, Severity: severity, Path: path, Message: strings.TrimSuffix(fmt.Sprintf(format, args...), "."), Fix: fix})
	c.repeats = append(c.repeats, 0)
}

// roles gives the roles whose profile can be used, by name.
func (c *checker) roles(yield func(string, *chain) bool) {
	for _, name := range slices.Sorted(maps.Keys(c.plan.Roles)) {
		l := c.resolver.chains[c.plan.Roles[name].Profile]
		if l.err == nil && l.chain != nil && !yield(name, l.chain) {
			return
		}
	}
}

func (c *checker) checkProfiles() {
	for _, name := range slices.Sorted(maps.Keys(c.plan.Roles)) {
		role := c.plan.Roles[name]
		if role.Profile == "" {
			continue // site.Check says so
		}
		if err := c.resolver.chains[role.Profile].err; err != nil {
			c.report(site.SeverityError, "profile-unusable", "roles."+name+".profile", "name one of the profiles that there are, or correct the one under profiles/ beside the plan", "%v", err)
		}
	}
	for name, l := range c.roles {
		if c.nodes[name] == 0 { // else its nodes tell
			_, err := newScope(&c.plan.Settings, &site.Node{Role: name}, l)
			c.problem(&site.Node{Role: name}, err)
		}
	}
}

// checkNodes resolves every node: what cannot be resolved cannot be armed.
// Nodes of one shape fare alike, so one of them is resolved.
func (c *checker) checkNodes() {
	tried := map[string]error{}
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		role, ok := c.plan.Roles[n.Role]
		if !ok || c.resolver.chains[role.Profile].err != nil || role.Profile == "" {
			continue
		}
		shape := Shape(n)
		err, known := tried[shape]
		if !known {
			_, err = c.resolver.Resolve(n)
			tried[shape] = err
		}
		c.problem(n, err)
	}
}

// Shape is the same for nodes whose Intents differ in names, addresses and
// identities alone.
func Shape(n *site.Node) string {
	var b strings.Builder
	b.WriteString(n.Role)
	for _, word := range []string{n.Image, strconv.Itoa(len(n.MACs))} {
		b.WriteByte(0)
		b.WriteString(word)
	}
	for _, network := range slices.Sorted(maps.Keys(n.Addresses)) {
		b.WriteByte(0)
		b.WriteString(network)
	}
	for _, name := range slices.Sorted(maps.Keys(n.NICs)) {
		nic := n.NICs[name]
		fmt.Fprintf(&b, "\x00%s %t %s %s", name, nic.MAC != (site.MAC{}), nic.Path, nic.Name)
	}
	h := n.Hardware
	if len(n.Set) > 0 || h.CPUs() != 0 || h.Memory != 0 || len(h.NUMA)+len(h.CPUFlags)+len(h.Disks) > 0 || h.Arch+h.Boot != "" || h.CPULevel != 0 || len(n.Disks.OSD)+len(n.Disks.OSDDB) > 0 {
		fmt.Fprintf(&b, "\x00%v\x00%v\x00%v\x00%v", n.Set, h, n.Disks.OSD, n.Disks.OSDDB)
	}
	return b.String()
}

// problem reports an error of a node where the plan can be corrected.
func (c *checker) problem(n *site.Node, err error) {
	if err == nil {
		return
	}
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		c.report(site.SeverityError, "profile-unresolved", c.place(n, ""), "correct the role, the node, or its profile", "%v", err)
		return
	}
	message := p.Message
	if n.Name != "" {
		message = fmt.Sprintf("node %s: %s", n.Name, p.Message)
	}
	path := p.Path
	if name, relative := strings.CutPrefix(path, "set."); relative {
		path = c.place(n, name)
	} else if path == "" || path == "disks" {
		path = c.place(n, "")
	}
	c.report(site.SeverityError, p.ID, path, p.Fix, "%s", message)
}

// place is where a parameter was set; for what was set nowhere, the node if
// it differs from its role, and else the role.
func (c *checker) place(n *site.Node, parameter string) string {
	role := "roles." + n.Role
	if _, ok := n.Set[parameter]; ok {
		return n.Place + ".set." + parameter
	}
	if _, ok := c.plan.Roles[n.Role].Set[parameter]; ok {
		return role + ".set." + parameter
	}
	h := n.Hardware
	if n.Place != "" && (len(n.Set) > 0 || h.Memory > 0 || h.CPUs() > 0 || len(h.NUMA) > 0 || len(n.Disks.OSD) > 0) {
		return n.Place
	}
	return role
}

// checkNetworks finds the networks that a role needs and does not have.
func (c *checker) checkNetworks() {
	s := &c.plan.Settings
	for name, l := range c.roles {
		has := s.RolesOf(s.Provision.Network)
		for network := range s.Roles[name].Networks {
			has = append(slices.Clone(has), s.RolesOf(network)...)
		}
		needs := l.needs()
		if len(needs) > 0 && len(s.Roles[name].Networks) == 0 {
			c.report(site.SeverityWarning, "role-without-networks", "roles."+name, fmt.Sprintf("map its networks: networks: {%s: bond0}", needs[0].Role),
				"role %s maps no network: its nodes keep the network of the installer, and somebody else has to set up the rest", name)
			continue
		}
		for _, need := range needs {
			if !slices.Contains(has, need.Role) {
				c.report(site.SeverityError, "role-network-missing", "roles."+name, fmt.Sprintf("map a network that has the role: networks: {%s: bond0}, or add %s to the roles of one that is mapped", need.Role, need.Role),
					"role %s has no %s network: %s", name, need.Role, need.Why)
			}
		}
	}
}

// needs are the required networks of the chain.
func (c *chain) needs() []Need {
	var out []Need
	for _, p := range c.profiles {
		for _, n := range p.Networks.Required {
			out = slices.DeleteFunc(out, func(have Need) bool { return have.Role == n.Role })
			out = append(out, n)
		}
	}
	return out
}

// constraint is a count that a profile of a chain asks for.
type constraint struct {
	Count
	profile string // that asks
}

// constraint picks the one of the profile nearest to the role.
func (c *chain) constraint(of func(*Constraints) Count) constraint {
	for _, p := range slices.Backward(c.profiles) {
		if n := of(&p.Constraints); n.Count > 0 {
			return constraint{n, p.Name}
		}
	}
	return constraint{}
}

// count counts the nodes whose profile is, or extends, the named one.
func (c *checker) count(profile string) int {
	total := 0
	for name, l := range c.roles {
		if slices.Contains(l.names(), profile) {
			total += c.nodes[name]
		}
	}
	return total
}

func (c *checker) checkCounts() {
	done := map[string]bool{}
	available := c.highlyAvailable()
	for name, l := range c.roles {
		if c.nodes[name] == 0 {
			continue // site.Check says so
		}
		for _, kind := range []struct {
			name  string
			of    func(*Constraints) Count
			check func(path string, k constraint, n int)
		}{
			{"minimum", func(k *Constraints) Count { return k.Minimum }, c.checkMinimum},
			{"odd", odd, func(path string, k constraint, n int) { c.checkQuorum(path, k, n, available) }},
			{"recommended", func(k *Constraints) Count { return k.Recommended }, func(path string, k constraint, n int) {
				if votes := l.constraint(odd).Count.Count > 0; !votes || !available {
					c.checkRecommended(path, k, n)
				}
			}},
		} {
			k := l.constraint(kind.of)
			if k.Count.Count > 0 && !done[kind.name+k.profile] {
				done[kind.name+k.profile] = true
				kind.check("roles."+name, k, c.count(k.profile))
			}
		}
		c.checkConflicts(name, l)
	}
}

func odd(k *Constraints) Count { return k.Odd }

func (c *checker) checkMinimum(path string, k constraint, n int) {
	if n < k.Count.Count {
		c.report(site.SeverityError, "too-few-nodes", path, "plan more nodes of the role", "%s of profile %s, at least %d are needed: %s", nodes(n), k.profile, k.Count.Count, k.Why)
	}
}

func (c *checker) checkRecommended(path string, k constraint, n int) {
	if n < k.Count.Count {
		c.report(site.SeverityWarning, "fewer-nodes-than-recommended", path, fmt.Sprintf("plan %d nodes of the role", k.Count.Count), "%s of profile %s, %d are recommended: %s", nodes(n), k.profile, k.Count.Count, k.Why)
	}
}

func (c *checker) checkQuorum(path string, k constraint, n int, available bool) {
	switch {
	case available && n < k.Count.Count:
		c.report(site.SeverityError, "quorum-too-small", path, fmt.Sprintf("plan %d nodes of the role", k.Count.Count),
			"%s of profile %s, while other roles are planned to survive a failure: %s", nodes(n), k.profile, k.Why)
	case n%2 == 0:
		c.report(site.SeverityWarning, "quorum-even", path, fmt.Sprintf("plan %d or %d nodes of the role", n-1, n+1), "%s of profile %s: %s", nodes(n), k.profile, k.Why)
	}
}

func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

// highlyAvailable reports that some role that votes has enough nodes to lose
// one: a plan that is to survive a failure.
func (c *checker) highlyAvailable() bool {
	for _, l := range c.roles {
		if k := l.constraint(odd); k.Count.Count > 0 && c.count(k.profile) >= k.Count.Count {
			return true
		}
	}
	return false
}

// checkConflicts reports each pair of roles once.
func (c *checker) checkConflicts(role string, l *chain) {
	for _, p := range l.profiles {
		for _, conflict := range p.Constraints.Conflicts {
			for other, o := range c.roles {
				if other == role || c.nodes[other] == 0 || !slices.Contains(o.names(), conflict.Profile) {
					continue
				}
				first, second := min(role, other), max(role, other)
				path := "roles." + second + ".profile"
				if _, known := c.at[[2]string{"profile-conflict", path}]; !known {
					c.report(site.SeverityError, "profile-conflict", path, fmt.Sprintf("give roles %s and %s the same profile, or put them into plans of their own", first, second),
						"role %s has profile %s, which does not go with %s of role %s: %s", role, l.name, conflict.Profile, other, conflict.Why)
				}
			}
		}
	}
}
