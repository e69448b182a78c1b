package profile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"github.com/rackseed/rackseed/pkg/site"
)

// Resolver gives the Intents of the nodes of one plan. It reads profiles and
// lists hosts once; it may be used by several goroutines.
type Resolver struct {
	settings *site.Settings
	chains   map[string]loaded  // by profile
	alike    map[string]*Intent // by role, of nodes that differ from it in nothing that a profile asks for
	hosts    []Host
	nodes    int
}

type loaded struct {
	chain *chain
	err   error
}

// NewResolver reads the profiles that the roles of a plan name: the site's
// own, which the settings hold, over the shipped ones.
func NewResolver(shipped fs.FS, s *site.Settings, nodes iter.Seq[*site.Node]) *Resolver {
	r := &Resolver{settings: s, chains: map[string]loaded{}, alike: map[string]*Intent{}}
	r.hosts = hostsOf(s, func(yield func(*site.Node) bool) {
		for n := range nodes {
			if r.nodes++; !yield(n) {
				return
			}
		}
	})
	from := Over(Texts(s.Profiles), shipped)
	files := map[string]*Profile{}
	load := func(from fs.FS, name string) (*Profile, error) {
		if p, ok := files[name]; ok {
			return p, nil
		}
		p, err := Load(from, name)
		files[name] = &p
		return &p, err
	}
	for _, role := range s.Roles {
		if _, known := r.chains[role.Profile]; !known {
			c, err := chainOf(from, role.Profile, load)
			r.chains[role.Profile] = loaded{c, err}
		}
	}
	for name := range s.Roles {
		if i, err := r.decide(&site.Node{Role: name}); err == nil {
			r.alike[name] = i
		}
	}
	return r
}

// NodesOf lists the nodes of a plan for NewResolver.
func NodesOf(nodes []site.Node) iter.Seq[*site.Node] {
	return func(yield func(*site.Node) bool) {
		for i := range nodes {
			if !yield(&nodes[i]) {
				return
			}
		}
	}
}

// Resolve gives the Intent of one node of a site that has no other. Where
// there are others, a Resolver knows their names.
func Resolve(shipped fs.FS, s *site.Settings, n *site.Node) (*Intent, error) {
	return NewResolver(shipped, s, func(yield func(*site.Node) bool) { yield(n) }).Resolve(n)
}

// Resolve gives the Intent of a node. Its slices are shared with other
// Intents and not to be changed.
func (r *Resolver) Resolve(n *site.Node) (*Intent, error) {
	s := r.settings
	decided, ok := r.alike[n.Role]
	if !ok || !bare(n) {
		var err error
		if decided, err = r.decide(n); err != nil {
			return nil, err
		}
	}
	i := *decided
	i.Node, i.Disks = n.Name, s.DisksOf(n)
	i.Address, _ = s.Address(n)
	i.Repositories = repositoriesOf(s, n)
	var err error
	if i.Network, err = network(s, n); err != nil {
		return nil, about(n, err)
	}
	return &i, nil
}

// bare reports that a node says nothing that a profile could ask for.
func bare(n *site.Node) bool {
	h := n.Hardware
	return len(n.Set) == 0 && len(n.Disks.OSD) == 0 && len(n.Disks.OSDDB) == 0 && h.Arch == "" && h.Memory == 0 &&
		h.Sockets == 0 && h.Cores == 0 && h.Threads == 0 && len(h.NUMA) == 0 && h.Boot == "" && h.CPULevel == 0 && len(h.CPUFlags) == 0 && len(h.Disks) == 0
}

// decide works out all that a profile says of a node.
func (r *Resolver) decide(n *site.Node) (*Intent, error) {
	s := r.settings
	role, ok := s.Roles[n.Role]
	if !ok {
		return nil, fmt.Errorf("node %s has role %q, which the plan does not define", n.Name, n.Role)
	}
	l := r.chains[role.Profile]
	if l.err != nil {
		return nil, fmt.Errorf("role %s: %w", n.Role, l.err)
	}
	scope, err := newScope(s, n, l.chain)
	if err != nil {
		return nil, err
	}
	scope.nodes = r.nodes
	i := &Intent{
		Domain: s.Domain, Role: n.Role, Profile: role.Profile, Chain: l.chain.names(),
		Locale: withDefaults(s.Locale), Access: s.Access, Hardware: scope.hardware, Hosts: r.hosts,
		Packages: l.chain.words(func(p *Profile) []string { return p.Packages }),
		Services: l.chain.words(func(p *Profile) []string { return p.Services }),
	}
	i.Concepts = append(l.chain.concepts("packages", i.Packages), l.chain.concepts("services", i.Services)...)
	i.DNS, i.NTP = serversOf(s)
	if err := scope.fill(i); err != nil {
		return nil, about(n, err)
	}
	return i, nil
}

// about says which node an error is about, and keeps what Check needs.
func about(n *site.Node, err error) error {
	if p, ok := errors.AsType[*Problem](err); ok && p.Path != "" {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	return fmt.Errorf("node %s, role %s: %w", n.Name, n.Role, err)
}

func newScope(s *site.Settings, n *site.Node, c *chain) (*scope, error) {
	v := &scope{chain: c, deployer: s.OpenStack.Deployer, hardware: s.HardwareOf(n), disks: s.DisksOf(n), set: map[string]Parameter{}, asked: map[string]bool{}}
	v.topology = sync.OnceValues(func() ([]numaNode, error) { return topologyOf(v.hardware) })
	if err := v.bind(s.Roles[n.Role].Set, "role "+n.Role+" set", "roles."+n.Role); err != nil {
		return nil, err
	}
	return v, v.bind(n.Set, "node "+n.Name+" set", cmp.Or(n.Place, "nodes."+n.Name))
}

// serversOf prefers the network that nodes are managed by: the provisioning
// network may be gone once the laptop is.
func serversOf(s *site.Settings) (dns, ntp []netip.Addr) {
	provision, _ := s.ProvisionNetwork()
	dns, ntp = provision.DNS, provision.NTP
	if _, m, ok := networkFor(s, site.NetManagement); ok {
		if len(m.DNS) > 0 {
			dns = m.DNS
		}
		if len(m.NTP) > 0 {
			ntp = m.NTP
		}
	}
	return dns, ntp
}

// networkFor finds the network that serves a role, the first by name.
func networkFor(s *site.Settings, role site.NetworkRole) (string, site.Network, bool) {
	for _, name := range slices.Sorted(maps.Keys(s.Networks)) {
		if slices.Contains(s.RolesOf(name), role) {
			return name, s.Networks[name], true
		}
	}
	return "", site.Network{}, false
}

// fill decides every entry of the profile for the node.
func (s *scope) fill(i *Intent) error {
	for _, step := range []func(*Intent) error{s.fillParameters, s.fillSettings, s.fillKernel, s.fillUnits, s.fillLayout} {
		if err := step(i); err != nil {
			return err
		}
	}
	return nil
}

func (s *scope) fillParameters(i *Intent) error {
	for _, name := range slices.Sorted(maps.Keys(s.chain.parameters)) {
		p, err := s.lookup(name)
		if _, unset := errors.AsType[unsetError](err); unset {
			continue
		}
		if err != nil {
			// What nothing uses may stay unknown; what uses it says so.
			if _, ok := errors.AsType[*Problem](err); ok {
				continue
			}
			return err
		}
		p.Name = name
		i.Parameters = append(i.Parameters, p)
	}
	return nil
}

func (s *scope) fillSettings(i *Intent) error {
	for _, v := range []struct {
		to    *[]Setting
		lists func(*Profile) []Setting
	}{
		{&i.Sysctl, func(p *Profile) []Setting { return p.Sysctl }},
		{&i.Journald, func(p *Profile) []Setting { return p.Journald }},
		{&i.BIOS, func(p *Profile) []Setting { return p.BIOS }},
	} {
		list, err := s.settings(v.lists)
		if err != nil {
			return err
		}
		*v.to = list
	}
	return s.fillDerived(i)
}

func (s *scope) settings(lists func(*Profile) []Setting) ([]Setting, error) {
	list, err := merged(s, lists)
	for i := range list {
		e := &list[i]
		e.When = ""
		if e.Value, err = s.expand(e.Value, &e.Reason); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Key, err)
		}
	}
	return list, err
}

func (s *scope) fillDerived(i *Intent) error {
	list, err := merged(s, func(p *Profile) []Setting { return p.Derived })
	for _, e := range list {
		e.When = ""
		if e.Value == "" {
			p, err := s.lookup(e.Key)
			if err != nil {
				return fmt.Errorf("%s: %w", e.Key, err)
			}
			e.Value, e.Why, e.Source = "${"+e.Key+"}", cmp.Or(e.Why, p.Why), cmp.Or(e.Source, p.Source)
		}
		if e.Value, err = s.expand(e.Value, &e.Reason); err != nil {
			return fmt.Errorf("%s: %w", e.Key, err)
		}
		i.Derived = append(i.Derived, e)
	}
	return err
}

func (s *scope) fillKernel(i *Intent) (err error) {
	limits, err := merged(s, func(p *Profile) []LimitRule { return p.Limits })
	if err != nil {
		return err
	}
	for _, l := range limits {
		text, err := s.expand(string(l.Value), &l.Reason)
		if err != nil {
			return fmt.Errorf("limit %s: %w", l.id(), err)
		}
		v, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("limit %s: %q is not a whole number", l.id(), text)
		}
		i.Limits = append(i.Limits, Limit{Domain: l.Domain, Item: l.Item, Value: v, Reason: l.Reason})
	}
	if i.KernelArgs, err = merged(s, func(p *Profile) []KernelArg { return p.KernelArgs }); err != nil {
		return err
	}
	for n := range i.KernelArgs {
		e := &i.KernelArgs[n]
		e.When = ""
		if e.Arg, err = s.expand(e.Arg, &e.Reason); err != nil {
			return fmt.Errorf("kernel argument %s: %w", e.id(), err)
		}
	}
	if i.Modules, err = merged(s, func(p *Profile) []Module { return p.Modules }); err != nil {
		return err
	}
	for n := range i.Modules {
		e := &i.Modules[n]
		e.When = ""
		if e.Options, err = s.expand(e.Options, &e.Reason); err != nil {
			return fmt.Errorf("module %s: %w", e.Name, err)
		}
	}
	return nil
}

func (s *scope) fillUnits(i *Intent) (err error) {
	for _, v := range []struct {
		to    *Choice
		lists func(*Profile) []Choice
	}{
		{&i.Tuned, func(p *Profile) []Choice { return p.Tuned }},
		{&i.THP, func(p *Profile) []Choice { return p.THP }},
		{&i.KSM, func(p *Profile) []Choice { return p.KSM }},
		{&i.Firewall, func(p *Profile) []Choice { return p.Firewall }},
		{&i.SELinux, func(p *Profile) []Choice { return p.SELinux }},
	} {
		if *v.to, err = s.choice(v.lists); err != nil {
			return err
		}
	}
	if i.Schedulers, err = merged(s, func(p *Profile) []Scheduler { return p.Schedulers }); err != nil {
		return err
	}
	for n := range i.Schedulers {
		i.Schedulers[n].When = ""
	}
	clocks, err := merged(s, func(p *Profile) []Clock { return p.Clock })
	if err != nil {
		return err
	}
	if len(clocks) > 0 {
		i.Clock = clocks[0]
		i.Clock.When = ""
	}
	if i.Slices, err = merged(s, func(p *Profile) []Slice { return p.Slices }); err != nil {
		return err
	}
	for n := range i.Slices {
		e := &i.Slices[n]
		e.When = ""
		if e.CPUs, err = s.expand(e.CPUs, &e.Reason); err == nil {
			e.MemoryHigh, err = s.expand(e.MemoryHigh, &e.Reason)
		}
		for k, v := range e.Environment {
			if err == nil {
				e.Environment = slices.Clone(e.Environment) // it is the profile's
				e.Environment[k], err = s.expand(v, &e.Reason)
			}
		}
		if err != nil {
			return fmt.Errorf("slice %s: %w", e.Unit, err)
		}
	}
	return nil
}

func (s *scope) choice(lists func(*Profile) []Choice) (Choice, error) {
	list, err := merged(s, lists)
	if err != nil || len(list) == 0 {
		return Choice{}, err
	}
	c := list[0]
	c.When = ""
	c.Value, err = s.expand(c.Value, &c.Reason)
	return c, err
}

var volumeName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (s *scope) fillLayout(i *Intent) error {
	swap, err := s.choice(func(p *Profile) []Choice { return p.Layout.Swap })
	if err == nil && swap.Value != "" {
		i.Layout.Reason = swap.Reason
		i.Layout.Swap, err = sizeOf(swap.Value)
	}
	if err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	volumes, err := merged(s, func(p *Profile) []VolumeRule { return p.Layout.Volumes })
	if err != nil {
		return err
	}
	growing := ""
	for _, v := range volumes {
		text, err := s.expand(v.Size, &v.Reason)
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.Mount, err)
		}
		size, err := sizeOf(text)
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.Mount, err)
		}
		if v.Grow && growing != "" {
			return fmt.Errorf("volumes %s and %s both take what is left: let one grow", growing, v.Mount)
		}
		if v.Grow {
			growing = v.Mount
		}
		i.Layout.Volumes = append(i.Layout.Volumes, Volume{Name: v.Name, Mount: v.Mount, Size: size, Grow: v.Grow, Reason: v.Reason})
	}
	return nil
}

func withDefaults(l site.Locale) site.Locale {
	l.Timezone = cmp.Or(l.Timezone, "UTC")
	l.Language = cmp.Or(l.Language, "en_US.UTF-8")
	l.Keyboard = cmp.Or(l.Keyboard, "us")
	return l
}
