package export

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// ansible writes an inventory with a group for each role, profile and rack.
// Every host stands once with its variables, under all; groups name it.
func ansible(s *Site) (Export, error) {
	var w warnings
	var missing []string
	all := yaml.MapSlice{}
	groups := map[string][]string{}
	for _, n := range s.Nodes {
		vars, ok := s.hostVars(n)
		if !ok {
			missing = append(missing, n.Name)
		}
		all = append(all, yaml.MapItem{Key: n.Name, Value: vars})
		for _, g := range groupsOf(n) {
			groups[g] = append(groups[g], n.Name)
		}
	}
	if len(missing) > 0 {
		w.add("%s: no address that the plan reserves: Ansible will look up the name", abbreviate(missing))
	}
	doc := yaml.MapSlice{{Key: "all", Value: yaml.MapSlice{
		{Key: "vars", Value: yaml.MapSlice{{Key: "ansible_user", Value: "root"}}},
		{Key: "hosts", Value: all},
		{Key: "children", Value: members(groups)},
	}}}
	text, err := toYAML(doc)
	if err != nil {
		return Export{}, err
	}
	return Export{Files: []File{{Name: "inventory.yml", Text: s.heading("Ansible inventory") + w.comment() + text}}, Warnings: w}, nil
}

func (s *Site) hostVars(n Node) (yaml.MapSlice, bool) {
	vars := yaml.MapSlice{}
	a, ok := s.address(n)
	if ok {
		vars = append(vars, yaml.MapItem{Key: "ansible_host", Value: a.String()})
	}
	for _, v := range []struct{ key, value string }{
		{"rackseed_role", n.Role}, {"rackseed_profile", n.Intent.Profile}, {"rackseed_image", s.Settings.ImageOf(n.Node)},
		{"rack", n.Rack}, {"serial", n.Serial},
	} {
		if v.value != "" {
			vars = append(vars, yaml.MapItem{Key: v.key, Value: v.value})
		}
	}
	return vars, ok
}

func groupsOf(n Node) []string {
	groups := []string{groupName(n.Role)}
	if p := groupName("profile_" + n.Intent.Profile); n.Intent.Profile != "" {
		groups = append(groups, p)
	}
	if n.Rack != "" {
		groups = append(groups, groupName("rack_"+n.Rack))
	}
	return groups
}

// groupName makes a name that Ansible takes for a group: a Python identifier,
// and none of those that it keeps for itself.
func groupName(name string) string {
	out := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if out == "" || out[0] >= '0' && out[0] <= '9' || slices.Contains([]string{"all", "ungrouped", "hosts", "vars", "children", "environment", "environments", "become"}, out) {
		return "group_" + out
	}
	return out
}

func members(groups map[string][]string) yaml.MapSlice {
	var out yaml.MapSlice
	for _, g := range sortedKeys(groups) {
		hosts := yaml.MapSlice{}
		for _, n := range groups[g] {
			hosts = append(hosts, yaml.MapItem{Key: n, Value: nil})
		}
		out = append(out, yaml.MapItem{Key: g, Value: yaml.MapSlice{{Key: "hosts", Value: hosts}}})
	}
	return out
}
