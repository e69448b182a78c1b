package discovery

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// match finds the first rule that fits, and what it wishes.
func match(s *site.State, mac site.MAC, i site.Inventory) (w Wish, rule string, ok bool) {
	for k, r := range s.Settings.Discovery.Rules {
		held, fits := fitting(r.Match, mac, i)
		if !fits {
			continue
		}
		rule = r.String(k)
		w = Wish{Name: nameOf(s, r.Name, held), Role: r.Role, Rack: fill(r.Rack, held), By: "rule " + rule}
		return w, rule, true
	}
	return Wish{}, "", false
}

// fitting gives what the stars of a match stood for, in the order in which
// its reference lists them: switch, port, serial, model.
func fitting(m site.DiscoveryMatch, mac site.MAC, i site.Inventory) (held []string, ok bool) {
	count := 0
	for _, d := range i.Hardware.Disks {
		count += max(d.Count, 1)
	}
	if m.IsZero() || m.Disks != 0 && m.Disks != count {
		return nil, false
	}
	if m.Switch != "" || m.Port != "" {
		if held, ok = cabled(m, mac, i); !ok {
			return nil, false
		}
	}
	if len(m.Serial) > 0 {
		at := slices.IndexFunc(m.Serial, func(p string) bool { _, ok := stars(p, i.Serial); return ok })
		if at < 0 || i.Serial == "" {
			return nil, false
		}
		more, _ := stars(m.Serial[at], i.Serial)
		held = append(held, more...)
	}
	if m.Model != "" {
		more, ok := stars(m.Model, i.Model)
		if !ok {
			return nil, false
		}
		held = append(held, more...)
	}
	return held, true
}

// cabled looks at the port that booted first: it is the one that a rack's
// numbering follows.
func cabled(m site.DiscoveryMatch, mac site.MAC, i site.Inventory) (held []string, ok bool) {
	nics := slices.Clone(i.NICs)
	slices.SortStableFunc(nics, func(a, b site.InventoryNIC) int {
		switch {
		case a.MAC == mac && b.MAC != mac:
			return -1
		case b.MAC == mac && a.MAC != mac:
			return 1
		}
		return 0
	})
	for _, n := range nics {
		if n.Neighbour.Switch == "" {
			continue
		}
		a, ok1 := stars(orAny(m.Switch), n.Neighbour.Switch)
		b, ok2 := stars(orAny(m.Port), n.Neighbour.Port)
		if !ok1 || !ok2 {
			continue
		}
		if m.Switch != "" {
			held = append(held, a...)
		}
		if m.Port != "" {
			held = append(held, b...)
		}
		return held, true
	}
	return nil, false
}

func orAny(pattern string) string {
	if pattern == "" {
		return "*"
	}
	return pattern
}

// stars matches a text against a pattern and gives what its stars stood for.
func stars(pattern, text string) ([]string, bool) {
	parts := strings.Split(pattern, "*")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	re, err := regexp.Compile("(?is)^" + strings.Join(parts, "(.*?)") + "$")
	if err != nil {
		return nil, false
	}
	m := re.FindStringSubmatch(text)
	if m == nil {
		return nil, false
	}
	return m[1:], true
}

var hole = regexp.MustCompile(`\{([1-9])(?::([1-9]))?\}`)

// fill puts what the stars stood for into the holes of a name.
func fill(name string, held []string) string {
	return hole.ReplaceAllStringFunc(name, func(h string) string {
		m := hole.FindStringSubmatch(h)
		n, _ := strconv.Atoi(m[1])
		if n > len(held) {
			return ""
		}
		value := strings.ToLower(held[n-1])
		if width, err := strconv.Atoi(m[2]); err == nil {
			if number, err := strconv.Atoi(value); err == nil && number >= 0 {
				return fmt.Sprintf("%0*d", width, number)
			}
		}
		return value
	})
}

// nameOf is the name that a rule gives: the first of a range that is free, or
// the last, for which Adopt says who has it.
func nameOf(s *site.State, pattern string, held []string) string {
	name := fill(pattern, held)
	names, err := site.Expand(name)
	if err != nil || len(names) == 0 {
		return name
	}
	for _, n := range names {
		if _, taken := s.Machine(n); !taken {
			return n
		}
	}
	return names[len(names)-1]
}
