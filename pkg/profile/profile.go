// Package profile turns a role into an Intent: what one node must be,
// independent of the installer or the operating system that brings it about.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/rackseed/rackseed/pkg/site"
)

// Profile says once what a role needs, as far as its file goes: what it
// extends comes from other files. docs/profiles.md tells the rules.
type Profile struct {
	Name        string                 `yaml:"name"`
	Summary     string                 `yaml:"summary"`
	Extends     string                 `yaml:"extends"`
	Parameters  map[string]Declaration `yaml:"parameters"`
	Packages    []string               `yaml:"packages"` // by concept; writers know what an OS calls them
	Services    []string               `yaml:"services"` // by concept
	Sysctl      []Setting              `yaml:"sysctl"`
	Limits      []LimitRule            `yaml:"limits"`
	Journald    []Setting              `yaml:"journald"`
	KernelArgs  []KernelArg            `yaml:"kernel_arguments"`
	Modules     []Module               `yaml:"modules"`
	Tuned       []Choice               `yaml:"tuned"`
	THP         []Choice               `yaml:"thp"`
	KSM         []Choice               `yaml:"ksm"`
	Firewall    []Choice               `yaml:"firewall"`
	SELinux     []Choice               `yaml:"selinux"`
	Schedulers  []Scheduler            `yaml:"schedulers"`
	Slices      []Slice                `yaml:"slices"`
	Clock       []Clock                `yaml:"clock"`
	Layout      LayoutRule             `yaml:"layout"`
	BIOS        []Setting              `yaml:"bios"`    // by concept; recipes know what a vendor calls them
	Derived     []Setting              `yaml:"derived"` // to be computed for the Intent; the key names a derived value
	Networks    Needs                  `yaml:"networks"`
	Constraints Constraints            `yaml:"constraints"`

	from map[string]string // of packages and services
}

// LimitRule is a Limit whose value may be a ${parameter}.
type LimitRule struct {
	Domain string `yaml:"domain"`
	Item   string `yaml:"item"`
	Value  Number `yaml:"value"`
	When   string `yaml:"when"`
	Reason `yaml:",inline"`
}

// LayoutRule is a Layout whose sizes may be ${parameters}.
type LayoutRule struct {
	Swap    []Choice     `yaml:"swap"`
	Volumes []VolumeRule `yaml:"volumes"`
}

// VolumeRule is a Volume whose size may be a ${parameter}.
type VolumeRule struct {
	Name   string `yaml:"name"`
	Mount  string `yaml:"mount"`
	Size   string `yaml:"size"`
	Grow   bool   `yaml:"grow"`
	When   string `yaml:"when"`
	Reason `yaml:",inline"`
}

// Needs are the networks of a role.
type Needs struct {
	Required []Need `yaml:"required"`
	Optional []Need `yaml:"optional"`
}

// Need is a network role, with what it is needed for.
type Need struct {
	Role   site.NetworkRole `yaml:"role"`
	Reason `yaml:",inline"`
}

// Constraints say how the nodes of a profile, taken together, must be. Every
// node whose profile is or extends the one that says so counts.
type Constraints struct {
	Minimum     Count      `yaml:"minimum"`
	Recommended Count      `yaml:"recommended"`
	Odd         Count      `yaml:"odd"` // they vote; the count is how many a plan that is to survive a failure needs
	Conflicts   []Conflict `yaml:"conflicts"`
}

// Count is a number of nodes; zero means that there is no such constraint.
type Count struct {
	Count  int `yaml:"count"`
	Reason `yaml:",inline"`
}

// Conflict is a profile that must not be in the same plan.
type Conflict struct {
	Profile string `yaml:"profile"`
	Reason  `yaml:",inline"`
}

// Number is a whole number or text with a ${parameter} that becomes one.
type Number string

// UnmarshalYAML refuses what is neither, at its place.
func (v *Number) UnmarshalYAML(n ast.Node) error {
	text := n.GetToken().Value
	if _, err := strconv.Atoi(text); err != nil && !strings.Contains(text, "${") {
		return &yaml.SyntaxError{Message: fmt.Sprintf("%q is neither a whole number nor a ${parameter}", text), Token: n.GetToken()}
	}
	*v = Number(text)
	return nil
}

// Load reads a profile by name, alone: without what it extends. Unknown keys
// are errors with their place.
func Load(from fs.FS, name string) (Profile, error) {
	if dir, base := path.Split(name); base == "" || dir != "" && dir != shippedPrefix {
		return Profile{}, missing(from, name)
	}
	file := name + ".yaml"
	data, err := fs.ReadFile(from, file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return Profile{}, missing(from, name)
	}
	if err != nil {
		return Profile{}, fmt.Errorf("reading profile %s: %w", name, err)
	}
	var p Profile
	if err := yaml.UnmarshalWithOptions(data, &p, yaml.Strict()); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", file, located(file, err))
	}
	if p.Name != path.Base(name) {
		return Profile{}, fmt.Errorf("profile %s calls itself %q", file, p.Name)
	}
	p.Name = name
	p.sign(file, data)
	if err := p.check(); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", file, err)
	}
	return p, nil
}

func missing(from fs.FS, name string) error {
	return fmt.Errorf("there is no role profile %q: there are %s", name, strings.Join(Names(from), ", "))
}

// located puts the file before the place, as compilers do.
func located(file string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return err
	}
	p := at.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %w", file, p.Line, p.Column, err)
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

// sign writes into each entry where it stands.
func (p *Profile) sign(file string, data []byte) {
	lines := entryLines(data)
	at := func(i int, keys ...string) string {
		if l := lines[strings.Join(keys, ".")]; i < len(l) {
			return fmt.Sprintf("profile %s (%s:%d)", p.Name, file, l[i])
		}
		return fmt.Sprintf("profile %s (%s)", p.Name, file)
	}
	signAll(p.Sysctl, func(e *Setting, i int) { e.From = at(i, "sysctl") })
	signAll(p.Limits, func(e *LimitRule, i int) { e.From = at(i, "limits") })
	signAll(p.Journald, func(e *Setting, i int) { e.From = at(i, "journald") })
	signAll(p.KernelArgs, func(e *KernelArg, i int) { e.From = at(i, "kernel_arguments") })
	signAll(p.Modules, func(e *Module, i int) { e.From = at(i, "modules") })
	signAll(p.Tuned, func(e *Choice, i int) { e.From = at(i, "tuned") })
	signAll(p.THP, func(e *Choice, i int) { e.From = at(i, "thp") })
	signAll(p.KSM, func(e *Choice, i int) { e.From = at(i, "ksm") })
	signAll(p.Firewall, func(e *Choice, i int) { e.From = at(i, "firewall") })
	signAll(p.SELinux, func(e *Choice, i int) { e.From = at(i, "selinux") })
	signAll(p.Schedulers, func(e *Scheduler, i int) { e.From = at(i, "schedulers") })
	signAll(p.Slices, func(e *Slice, i int) { e.From = at(i, "slices") })
	signAll(p.Clock, func(e *Clock, i int) { e.From = at(i, "clock") })
	signAll(p.Layout.Swap, func(e *Choice, i int) { e.From = at(i, "layout", "swap") })
	signAll(p.Layout.Volumes, func(e *VolumeRule, i int) { e.From = at(i, "layout", "volumes") })
	signAll(p.BIOS, func(e *Setting, i int) { e.From = at(i, "bios") })
	signAll(p.Derived, func(e *Setting, i int) { e.From = at(i, "derived") })
	signAll(p.Networks.Required, func(e *Need, i int) { e.From = at(i, "networks", "required") })
	signAll(p.Networks.Optional, func(e *Need, i int) { e.From = at(i, "networks", "optional") })
	signAll(p.Constraints.Conflicts, func(e *Conflict, i int) { e.From = at(i, "constraints", "conflicts") })
	for _, c := range []struct {
		key   string
		count *Count
	}{{"minimum", &p.Constraints.Minimum}, {"recommended", &p.Constraints.Recommended}, {"odd", &p.Constraints.Odd}} {
		c.count.From = at(0, "constraints", c.key)
	}
	p.from = map[string]string{}
	for i, c := range p.Packages {
		p.from["packages "+c] = at(i, "packages")
	}
	for i, c := range p.Services {
		p.from["services "+c] = at(i, "services")
	}
	for name, d := range p.Parameters {
		d.From = at(0, "parameters", name)
		p.Parameters[name] = d
	}
}

func signAll[T any](list []T, sign func(*T, int)) {
	for i := range list {
		sign(&list[i], i)
	}
}

// entryLines gives the line of every entry of every list of a document, and
// of every value that is not a list, by its dotted key.
func entryLines(data []byte) map[string][]int {
	lines := map[string][]int{}
	f, err := parser.ParseBytes(data, 0)
	if err != nil || len(f.Docs) == 0 {
		return lines
	}
	var walk func(prefix string, n ast.Node)
	walk = func(prefix string, n ast.Node) {
		switch v := n.(type) {
		case *ast.MappingNode:
			for _, pair := range v.Values {
				walk(prefix, pair)
			}
		case *ast.MappingValueNode:
			key := strings.TrimPrefix(prefix+"."+v.Key.String(), ".")
			if list, ok := v.Value.(*ast.SequenceNode); ok {
				for _, item := range list.Values {
					lines[key] = append(lines[key], item.GetToken().Position.Line)
				}
				return
			}
			lines[key] = []int{v.Key.GetToken().Position.Line}
			walk(key, v.Value)
		}
	}
	walk("", f.Docs[0].Body)
	return lines
}
