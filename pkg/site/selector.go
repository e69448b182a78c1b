package site

import (
	"fmt"
	"slices"
	"strings"
)

// Selector picks planned machines: names with ranges
// (cs-computer-[0001-0512]), role=compute, rack=A03, state=failed, all;
// joined by commas (union), & (intersection) and ! (difference). & and !
// bind tighter than the comma and are read from left to right; a leading !
// takes away from all.
type Selector struct {
	union [][]selectorTerm
}

type selectorTerm struct {
	text   string
	key    string // name, role, rack, state or all
	values map[string]bool
	minus  bool
}

// ParseSelector reads a selector, or says what a selector is.
func ParseSelector(text string) (Selector, error) {
	var s Selector
	for _, group := range splitOutside(text, ',') {
		terms, err := parseGroup(group)
		if err != nil {
			return Selector{}, fmt.Errorf("selector %q: %w", text, err)
		}
		s.union = append(s.union, terms)
	}
	return s, nil
}

// splitOutside cuts text at sep where it is not inside brackets.
func splitOutside(text string, sep byte) []string {
	var parts []string
	depth, start := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '[':
			depth++
		case ']':
			depth--
		case sep:
			if depth == 0 {
				parts = append(parts, text[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, text[start:])
}

func parseGroup(group string) ([]selectorTerm, error) {
	var terms []selectorTerm
	rest := strings.TrimSpace(group)
	if strings.HasPrefix(rest, "!") {
		terms = append(terms, selectorTerm{text: "all", key: "all"})
	}
	minus := false
	for {
		end := strings.IndexAny(rest, "&!")
		word := rest
		if end >= 0 {
			word = rest[:end]
		}
		if word = strings.TrimSpace(word); word != "" {
			t, err := parseTerm(word)
			if err != nil {
				return nil, err
			}
			t.minus = minus
			terms = append(terms, t)
		} else if end != 0 || len(terms) == 0 {
			return nil, fmt.Errorf("a name, role=, rack=, state= or all is missing in %q", group)
		}
		if end < 0 {
			return terms, nil
		}
		minus = rest[end] == '!'
		rest = rest[end+1:]
	}
}

func parseTerm(word string) (selectorTerm, error) {
	if word == "all" {
		return selectorTerm{text: word, key: "all"}, nil
	}
	key, value, isPair := strings.Cut(word, "=")
	if !isPair {
		key, value = "name", word
	}
	if !slices.Contains([]string{"name", "role", "rack", "state"}, key) {
		return selectorTerm{}, fmt.Errorf("%q is not something to select by: use a name, role=, rack=, state= or all", key)
	}
	if key == "state" && !strings.ContainsAny(value, "[,") && !slices.Contains(Phases(), Phase(value)) {
		return selectorTerm{}, fmt.Errorf("there is no state %q: there are %s", value, joined(Phases()))
	}
	if value == "" {
		return selectorTerm{}, fmt.Errorf("%s needs a value: %sVALUE", word, word)
	}
	names, err := Expand(value)
	if err != nil {
		return selectorTerm{}, err
	}
	t := selectorTerm{text: word, key: key, values: map[string]bool{}}
	for _, n := range names {
		t.values[n] = true
	}
	return t, nil
}

func joined(phases []Phase) string {
	words := make([]string, 0, len(phases))
	for _, p := range phases {
		words = append(words, string(p))
	}
	return strings.Join(words, ", ")
}

// Select gives the machines that a selector picks, by name. A node name that
// the plan does not have is an error: a typing slip must not shrink a batch
// in silence.
func (s *State) Select(sel Selector) ([]*Machine, error) {
	if err := s.checkNames(sel); err != nil {
		return nil, err
	}
	var picked []*Machine
	for _, m := range s.Machines() {
		if sel.Matches(m) {
			picked = append(picked, m)
		}
	}
	return picked, nil
}

func (s *State) checkNames(sel Selector) error {
	var missing []string
	for _, group := range sel.union {
		for _, t := range group {
			if t.key != "name" {
				continue
			}
			for name := range t.values {
				if _, ok := s.Machine(name); !ok {
					missing = append(missing, name)
				}
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	if len(missing) > 5 {
		missing = append(missing[:5], fmt.Sprintf("and %d more", len(missing)-5))
	}
	if len(missing) == 1 {
		return s.NoNode(missing[0])
	}
	return fmt.Errorf("the plan has no node named %s: see `rackseed node list`", strings.Join(missing, ", "))
}

// NoNode says that the plan has no node of a name, with the one that was
// probably meant.
func (s *State) NoNode(name string) error {
	var names []string
	for _, m := range s.Machines() {
		names = append(names, m.Node.Name)
	}
	if near, ok := Nearest(name, names); ok {
		return fmt.Errorf("the plan has no node %s: did you mean %s?", name, near)
	}
	return fmt.Errorf("the plan has no node %s: see `rackseed node list`", name)
}

// Matches reports whether the selector picks m.
func (sel Selector) Matches(m *Machine) bool {
	return slices.ContainsFunc(sel.union, func(group []selectorTerm) bool {
		for _, t := range group {
			if t.matches(m) == t.minus {
				return false
			}
		}
		return true
	})
}

func (t selectorTerm) matches(m *Machine) bool {
	switch t.key {
	case "all":
		return true
	case "role":
		return t.values[m.Node.Role]
	case "rack":
		return t.values[m.Node.Rack]
	case "state":
		return t.values[string(m.Phase)]
	default:
		return t.values[m.Node.Name]
	}
}
