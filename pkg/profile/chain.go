package profile

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// chain is a profile with everything that it extends, from the base on.
type chain struct {
	name       string
	profiles   []*Profile
	parameters map[string]Declaration
	derived    map[string]derivation
}

// chainOf loads a profile and what it extends.
func chainOf(from fs.FS, name string, load func(fs.FS, string) (*Profile, error)) (*chain, error) {
	c := &chain{name: name, parameters: map[string]Declaration{}, derived: derivations()}
	seen := map[string]bool{}
	for next := name; next != ""; {
		if seen[next] {
			return nil, fmt.Errorf("profile %s extends itself by way of %s: a profile that replaces a shipped one builds on it with extends: %s%s", name, next, shippedPrefix, path.Base(next))
		}
		seen[next] = true
		p, err := load(from, next)
		if err != nil && len(c.profiles) > 0 {
			return nil, fmt.Errorf("profile %s extends %s: %w", c.profiles[0].Name, next, err)
		}
		if err != nil {
			return nil, err
		}
		c.profiles = append([]*Profile{p}, c.profiles...)
		next = p.Extends
	}
	for _, p := range c.profiles {
		maps.Copy(c.parameters, p.Parameters)
	}
	for _, p := range c.profiles {
		if err := p.refers(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// names lists the profiles of the chain.
func (c *chain) names() []string {
	out := make([]string, len(c.profiles))
	for i, p := range c.profiles {
		out[i] = p.Name
	}
	return out
}

// known lists what an entry can refer to.
func (c *chain) known() []string {
	all := slices.Collect(maps.Keys(c.parameters))
	for name := range c.derived {
		if _, twice := c.parameters[name]; !twice {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func (c *chain) suggest() string {
	if len(c.parameters) == 0 {
		return "remove it: the profile has no parameters"
	}
	return "use one of: " + strings.Join(slices.Sorted(maps.Keys(c.parameters)), ", ")
}

// entry is an item of a keyed list.
type entry interface {
	id() string   // of two entries with one id, the later one that applies counts
	gate() string // its condition
}

func (e Setting) id() string      { return e.Key }
func (e LimitRule) id() string    { return e.Domain + " " + e.Item }
func (e KernelArg) id() string    { return argKey(e.Arg) }
func (e Module) id() string       { return e.Name }
func (e Choice) id() string       { return "" }
func (e Scheduler) id() string    { return e.Disks }
func (e Slice) id() string        { return e.Unit }
func (e Clock) id() string        { return "" }
func (e VolumeRule) id() string   { return e.Mount }
func (e Setting) gate() string    { return e.When }
func (e LimitRule) gate() string  { return e.When }
func (e KernelArg) gate() string  { return e.When }
func (e Module) gate() string     { return e.When }
func (e Choice) gate() string     { return e.When }
func (e Scheduler) gate() string  { return e.When }
func (e Slice) gate() string      { return e.When }
func (e Clock) gate() string      { return e.When }
func (e VolumeRule) gate() string { return e.When }

// argKey keeps hugepages=4 and hugepages=8 apart from hugepagesz=1G, and lets
// console=tty0 stand beside console=ttyS0.
func argKey(arg string) string {
	key, _, _ := strings.Cut(arg, "=")
	if key == "console" {
		return arg
	}
	return key
}

// merged gives the entries of a list that apply, parents' first, each where
// its key stood first. A key with - before it takes the parents' away.
func merged[E entry](s *scope, list func(*Profile) []E) ([]E, error) {
	var out []E
	at := func(id string) int { return slices.IndexFunc(out, func(e E) bool { return e.id() == id }) }
	for _, p := range s.chain.profiles {
		for _, e := range list(p) {
			ok, err := s.applies(e.gate())
			if err != nil {
				return nil, fmt.Errorf("%s: when: %w", e.id(), err)
			}
			if !ok {
				continue
			}
			id, remove := strings.CutPrefix(e.id(), "-")
			switch i := at(id); {
			case remove && i >= 0:
				out = slices.Delete(out, i, i+1)
			case remove:
			case i >= 0:
				out[i] = e
			default:
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// concepts says which profile asked first for each of the words that are left.
func (c *chain) concepts(kind string, words []string) []Value {
	out := make([]Value, 0, len(words))
	for _, w := range words {
		v := Value{Kind: kind, Value: w}
		for _, p := range c.profiles {
			v.From = cmp.Or(v.From, p.from[kind+" "+w])
		}
		out = append(out, v)
	}
	return out
}

// words merges a list of concepts: a child adds, and takes away with -.
func (c *chain) words(list func(*Profile) []string) []string {
	var out []string
	for _, p := range c.profiles {
		for _, w := range list(p) {
			if gone, remove := strings.CutPrefix(w, "-"); remove {
				out = slices.DeleteFunc(out, func(have string) bool { return have == gone })
			} else if !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}
