package sheet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// NamingRule gives names to machines that the sheet has none for: the first
// of its pattern that is free, in the order of the rows.
type NamingRule struct {
	Role    string // empty for every role that has no rule of its own
	Pattern string // cs-db-[01-05], or with the role in it: cs-{role}-[01-99]
}

// ParseNamingRule reads ROLE=PATTERN or PATTERN.
func ParseNamingRule(text string) (NamingRule, error) {
	role, pattern, ok := strings.Cut(text, "=")
	if !ok {
		role, pattern = "", text
	}
	rule := NamingRule{strings.TrimSpace(role), strings.TrimSpace(pattern)}
	expanded, err := site.Expand(strings.ReplaceAll(rule.Pattern, "{role}", rule.Role))
	if err != nil {
		return rule, err
	}
	if len(expanded) < 2 {
		return rule, fmt.Errorf("%q has no range in it: write it like cs-db-[01-05]", rule.Pattern)
	}
	return rule, nil
}

// nameRows gives the machines that the plan knows by serial number, UUID or
// MAC the name that they have there, and the rest the next that a rule has.
func (r *reader) nameRows() {
	known, taken := identities(r.opts.Plan), map[string]bool{}
	if r.opts.Plan != nil {
		for i := range r.opts.Plan.Nodes {
			taken[r.opts.Plan.Nodes[i].Name] = true
		}
	}
	for i := range r.table.Rows {
		taken[r.table.Rows[i].Node.Name] = true
	}
	free := map[string][]string{}
	for i := range r.table.Rows {
		row := &r.table.Rows[i]
		if _, written := row.cells[string(KeyHostname)]; written || row.bad {
			continue
		}
		if name, ok := known.nameOf(&row.Node); ok {
			row.Node.Name = name
			continue
		}
		if p := r.generate(row, taken, free); p != nil {
			row.bad = true
			r.find(site.SeverityError, row.Number, r.keyColumn(KeyHostname), "", p)
		}
	}
}

func (r *reader) keyColumn(k Key) *Column {
	for i := range r.table.Columns {
		if r.table.Columns[i].Key == k {
			return &r.table.Columns[i]
		}
	}
	return nil
}

func (r *reader) generate(row *Row, taken map[string]bool, free map[string][]string) *problem {
	role := row.Node.Role
	if role == "" {
		return &problem{"hostname-missing", "the row has neither a host name nor a role", "write the host name"}
	}
	rule, ok := r.rule(role)
	if !ok {
		return &problem{"hostname-missing", "the row has no host name", fmt.Sprintf("write it, or have names made: --name '%s=%s-[01-99]'", role, role)}
	}
	if _, started := free[role]; !started {
		list, err := site.Expand(strings.ReplaceAll(rule.Pattern, "{role}", role))
		if err != nil {
			return &problem{"naming-rule-malformed", err.Error(), "write it like cs-db-[01-05]"}
		}
		free[role] = list
	}
	list := free[role]
	for len(list) > 0 && taken[list[0]] {
		list = list[1:]
	}
	if len(list) == 0 {
		return &problem{"naming-rule-short", fmt.Sprintf("all names of %s are taken", rule.Pattern), "widen the range of --name"}
	}
	row.Node.Name, free[role] = list[0], list[1:]
	taken[row.Node.Name] = true
	return nil
}

func (r *reader) rule(role string) (NamingRule, bool) {
	for _, want := range []string{role, ""} {
		for _, rule := range r.opts.Names {
			if rule.Role == want {
				return rule, true
			}
		}
	}
	return NamingRule{}, false
}

// RoleWords lists what sheets call the roles, by the profile that they have.
func RoleWords() map[string][]string {
	return map[string][]string{
		"controller":             {"controller", "control", "控制", "控制节点", "管理节点"},
		"compute":                {"compute", "computer", "nova", "计算", "计算节点"},
		"storage":                {"storage", "ceph", "osd", "存储", "存储节点"},
		"storage-hyperconverged": {"hyperconverged", "hci", "融合", "超融合", "超融合节点", "融合节点", "计算存储融合"},
		"database":               {"database", "db", "mariadb", "mysql", "数据库", "数据库节点"},
		"message-queue":          {"messagequeue", "mq", "rabbitmq", "消息队列", "消息队列节点", "消息节点"},
		"monitoring":             {"monitoring", "monitor", "监控", "监控节点"},
		"network":                {"network", "neutron", "网络", "网络节点"},
	}
}

// role finds the role of the plan that a word stands for: the one that the
// operator says, the one of that name, or the only one with the profile that
// the word means.
func (r *reader) role(word string) (string, *problem) {
	for from, to := range r.opts.Roles {
		if normal(from) == normal(word) {
			return r.knownRole(word, to)
		}
	}
	profile := ""
	for name, words := range RoleWords() {
		if normal(name) == normal(word) || slices.Contains(words, normal(word)) {
			profile = name
		}
	}
	if r.opts.Plan == nil {
		if profile == "" {
			return "", &problem{"role-unknown", fmt.Sprintf("%q is not a role that is known", word),
				fmt.Sprintf("say which it is: --role-map '%s=ROLE' with one of %s", word, strings.Join(slices.Sorted(maps.Keys(RoleWords())), ", "))}
		}
		return profile, nil
	}
	var fitting []string
	for name, role := range r.opts.Plan.Roles {
		if normal(name) == normal(word) {
			return name, nil
		}
		if name == profile || role.Profile == profile {
			fitting = append(fitting, name)
		}
	}
	if _, ok := r.opts.Plan.Roles[profile]; ok {
		return profile, nil
	}
	if len(fitting) == 1 {
		return fitting[0], nil
	}
	return "", r.roleUnknown(word, "")
}

func (r *reader) knownRole(word, to string) (string, *problem) {
	if r.opts.Plan == nil {
		if _, ok := RoleWords()[to]; ok {
			return to, nil
		}
		return "", &problem{"role-unknown", fmt.Sprintf("--role-map gives %q the role %q, which is not known", word, to), "a new plan has " + strings.Join(slices.Sorted(maps.Keys(RoleWords())), ", ")}
	}
	if _, ok := r.opts.Plan.Roles[to]; !ok {
		return "", r.roleUnknown(word, to)
	}
	return to, nil
}

func (r *reader) roleUnknown(word, to string) *problem {
	name := word
	if to != "" {
		name = to
	}
	return &problem{"role-unknown", fmt.Sprintf("the plan has no one role that %q stands for", name),
		fmt.Sprintf("add it under roles, or say which it is: --role-map '%s=ROLE' with one of %s", word, strings.Join(slices.Sorted(maps.Keys(r.opts.Plan.Roles)), ", "))}
}

// identity finds planned machines by what their hardware says.
type identity struct {
	serials map[string]string
	uuids   map[site.UUID]string
	macs    map[site.MAC]string
}

func identities(p *site.Plan) identity {
	id := identity{map[string]string{}, map[site.UUID]string{}, map[site.MAC]string{}}
	if p == nil {
		return id
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.Serial != "" {
			id.serials[bare(n.Serial)] = n.Name
		}
		if n.UUID != (site.UUID{}) {
			id.uuids[n.UUID] = n.Name
		}
		for _, m := range n.MACs {
			id.macs[m] = n.Name
		}
	}
	return id
}

// nameOf is the one machine of the plan that the row is about.
func (id identity) nameOf(n *site.Node) (string, bool) {
	all := id.namesOf(n)
	if len(all) != 1 {
		return "", false
	}
	return all[0], true
}

func (id identity) namesOf(n *site.Node) []string {
	found := map[string]bool{}
	add := func(name string, ok bool) {
		if ok {
			found[name] = true
		}
	}
	name, ok := id.serials[n.Serial]
	add(name, ok && n.Serial != "")
	name, ok = id.uuids[n.UUID]
	add(name, ok)
	for _, m := range n.MACs {
		name, ok = id.macs[m]
		add(name, ok)
	}
	return slices.Sorted(maps.Keys(found))
}
