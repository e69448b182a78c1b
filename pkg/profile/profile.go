// Package profile turns a role into an Intent: what one node must be,
// independent of the installer or the operating system that brings it about.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/rackseed/rackseed/pkg/site"
)

// Profile says once what a role needs.
type Profile struct {
	Name     string    `yaml:"name"`
	Summary  string    `yaml:"summary"`
	Packages []string  `yaml:"packages"` // by concept; writers know what an OS calls them
	Services []string  `yaml:"services"` // by concept
	Sysctl   []Setting `yaml:"sysctl"`
	Limits   []Limit   `yaml:"limits"`
}

// Setting is a kernel parameter with its reason.
type Setting struct {
	Key    string `yaml:"key"`
	Value  string `yaml:"value"`
	Why    string `yaml:"why"`
	Source string `yaml:"source"`
}

// Limit is a PAM limit, soft and hard alike, with its reason.
type Limit struct {
	Domain string `yaml:"domain"` // as in limits.conf(5)
	Item   string `yaml:"item"`
	Value  int    `yaml:"value"`
	Why    string `yaml:"why"`
	Source string `yaml:"source"`
}

// Load reads a profile by name. Unknown keys are errors with their place.
func Load(from fs.FS, name string) (Profile, error) {
	data, err := fs.ReadFile(from, name+".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return Profile{}, fmt.Errorf("there is no role profile %q: there are %s", name, strings.Join(Names(from), ", "))
	}
	if err != nil {
		return Profile{}, fmt.Errorf("reading profile %s: %w", name, err)
	}
	var p Profile
	if err := yaml.UnmarshalWithOptions(data, &p, yaml.Strict()); err != nil {
		return Profile{}, fmt.Errorf("profile %s.yaml: %w", name, err)
	}
	if p.Name != name {
		return Profile{}, fmt.Errorf("profile %s.yaml calls itself %q", name, p.Name)
	}
	return p, nil
}

// Names lists the profiles that can be loaded.
func Names(from fs.FS) []string {
	var names []string
	files, _ := fs.Glob(from, "*.yaml")
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f, ".yaml"))
	}
	return names
}

// Intent is what one node must be.
type Intent struct {
	Node     string // host name
	Domain   string
	Role     string
	Profile  string
	Locale   site.Locale
	Access   site.Access
	Address  netip.Addr // reserved on the provisioning network; not valid if a pool gives one
	DNS      []netip.Addr
	NTP      []netip.Addr
	Disks    []site.DiskSelector // the system disk; empty means the only one there is
	Packages []string
	Services []string
	Sysctl   []Setting
	Limits   []Limit
}

// FQDN is the host name with its domain, if there is one.
func (i *Intent) FQDN() string {
	if i.Domain == "" {
		return i.Node
	}
	return i.Node + "." + i.Domain
}

// Resolve gives the Intent of a node of a plan.
func Resolve(from fs.FS, s *site.Settings, n *site.Node) (*Intent, error) {
	role, ok := s.Roles[n.Role]
	if !ok {
		return nil, fmt.Errorf("node %s has role %q, which the plan does not define", n.Name, n.Role)
	}
	p, err := Load(from, role.Profile)
	if err != nil {
		return nil, fmt.Errorf("role %s: %w", n.Role, err)
	}
	intent := &Intent{
		Node: n.Name, Domain: s.Domain, Role: n.Role, Profile: p.Name,
		Locale: withDefaults(s.Locale), Access: s.Access, Disks: n.Disks.System,
		Packages: p.Packages, Services: p.Services, Sysctl: p.Sysctl, Limits: p.Limits,
	}
	intent.Address, _ = s.Address(n)
	network, _ := s.ProvisionNetwork()
	intent.DNS, intent.NTP = network.DNS, network.NTP
	return intent, nil
}

func withDefaults(l site.Locale) site.Locale {
	if l.Timezone == "" {
		l.Timezone = "UTC"
	}
	if l.Language == "" {
		l.Language = "en_US.UTF-8"
	}
	if l.Keyboard == "" {
		l.Keyboard = "us"
	}
	return l
}
