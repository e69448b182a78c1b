// Package profile turns a role into an Intent: what one node must be,
// independent of the installer or the operating system that brings it about.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
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
		Locale: withDefaults(s.Locale), Access: s.Access, Disks: s.DisksOf(n), Hardware: s.HardwareOf(n), Chain: []string{p.Name},
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
