package profile

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// scope is what the entries of a profile can refer to for one node: its
// parameters, and what is derived from its hardware.
type scope struct {
	chain    *chain
	deployer string // that comes next, empty for none
	nodes    int    // of the whole plan
	hardware site.Hardware
	disks    site.Disks
	set      map[string]Parameter // checked values of role and node
	asked    map[string]bool      // being evaluated, to find circles
	used     []string             // parameters of set that were looked up
	topology func() ([]numaNode, error)
}

// unsetError says that a parameter has no value.
type unsetError struct{ name string }

func (e unsetError) Error() string {
	return fmt.Sprintf("parameter %s has no value: give it one under set", e.name)
}

// lookup gives the value of a parameter or, if that is not set, of the
// derived value of the name.
func (s *scope) lookup(name string) (Parameter, error) {
	if p, ok := s.set[name]; ok {
		s.used = append(s.used, name)
		return p, nil
	}
	if s.asked[name] {
		return Parameter{}, fmt.Errorf("%s depends on itself", name)
	}
	s.asked[name] = true
	defer delete(s.asked, name)
	d, declared := s.chain.parameters[name]
	if declared && d.Default != nil {
		return s.byDefault(name, d)
	}
	derive, derived := s.chain.derived[name]
	if !derived {
		if declared {
			return Parameter{}, unsetError{name}
		}
		return Parameter{}, fmt.Errorf("%s is neither a parameter nor a derived value: there are %s", name, strings.Join(s.chain.known(), ", "))
	}
	v, err := derive.from(s)
	if err != nil {
		return Parameter{}, err
	}
	return Parameter{Name: name, Value: v, Reason: Reason{Why: derive.why, Source: derive.source, From: "derived"}}, nil
}

func (s *scope) byDefault(name string, d Declaration) (Parameter, error) {
	p := Parameter{Name: name, Value: d.Default, Reason: d.Reason}
	if p.Why == "" {
		p.Why = d.Summary
	}
	text, _ := d.Default.(string)
	var err error
	switch {
	case !d.computed():
	case d.Type == Boolean:
		p.Value, err = s.applies(text)
	default:
		p.Value, err = s.expand(text, nil)
	}
	if err == nil {
		p.Value, err = d.value(p.Value)
	}
	if err != nil {
		return Parameter{}, fmt.Errorf("the default of parameter %s: %w", name, err)
	}
	return p, nil
}

// applies decides a condition: names, each of which must have a value that is
// not zero, or must not if ! stands before it.
func (s *scope) applies(when string) (bool, error) {
	for _, word := range strings.Fields(when) {
		name, not := strings.CutPrefix(word, "!")
		p, err := s.lookup(name)
		if _, unset := errors.AsType[unsetError](err); unset {
			p, err = Parameter{}, nil
		}
		if err != nil {
			return false, err
		}
		if holds(p.Value) == not {
			return false, nil
		}
	}
	return true, nil
}

var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// expand replaces each ${name}. What the plan set, and led to the value, is
// added to where it comes from.
func (s *scope) expand(text string, r *Reason) (string, error) {
	if !strings.Contains(text, "${") {
		return text, nil
	}
	var failed error
	before := len(s.used)
	out := reference.ReplaceAllStringFunc(text, func(m string) string {
		p, err := s.lookup(m[2 : len(m)-1])
		if err != nil {
			failed = cmpErr(failed, err)
			return ""
		}
		return show(p.Value)
	})
	if r != nil {
		used := slices.Clone(s.used[before:])
		slices.Sort(used)
		for _, name := range slices.Compact(used) {
			r.From += fmt.Sprintf("; %s by %s", name, s.set[name].From)
		}
	}
	return out, failed
}

func cmpErr(first, then error) error {
	if first != nil {
		return first
	}
	return then
}

func (s *scope) number(name string) (float64, error) {
	p, err := s.lookup(name)
	if err != nil {
		return 0, err
	}
	if f, ok := numberOf(p.Value); ok {
		return f, nil
	}
	return 0, fmt.Errorf("%s is not a number", name)
}

// optional is number for what may be missing; zero then.
func (s *scope) optional(name string) (float64, error) {
	if _, declared := s.chain.parameters[name]; !declared {
		return 0, nil
	}
	f, err := s.number(name)
	if _, unset := errors.AsType[unsetError](err); unset {
		return 0, nil
	}
	return f, err
}

// bind checks what a role or a node sets.
func (s *scope) bind(set map[string]any, from, path string) error {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		d, ok := s.chain.parameters[name]
		if !ok {
			return &Problem{ID: "set-unknown", Path: path + ".set." + name, Fix: s.chain.suggest(),
				Message: fmt.Sprintf("%s: profile %s has no parameter %s", from, s.chain.name, name)}
		}
		v, err := d.value(set[name])
		if err != nil {
			return &Problem{ID: "set-malformed", Path: path + ".set." + name, Fix: fmt.Sprintf("%s is %s: %s", name, article(d.Type), d.Summary),
				Message: fmt.Sprintf("%s: %s: %v", from, name, err)}
		}
		s.set[name] = Parameter{Name: name, Value: v, Reason: Reason{Why: d.Summary, Source: d.Source, From: from}}
	}
	return nil
}

func article(t Type) string {
	switch t {
	case Integer:
		return "a whole number"
	case Boolean:
		return "true or false"
	case Text:
		return "a text"
	case Size:
		return "a size such as 100GiB"
	}
	return "a " + string(t)
}

// Problem is why a node cannot be resolved, and where in the plan.
type Problem struct {
	ID      string // stable
	Path    string // into the plan
	Message string
	Fix     string
}

func (p *Problem) Error() string {
	if p.Fix == "" {
		return p.Message
	}
	return p.Message + ": " + p.Fix
}
