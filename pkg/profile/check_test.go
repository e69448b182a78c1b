package profile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

// cloud is a plan that the shipped profiles have nothing against.
func cloud() *site.Plan {
	p := &site.Plan{Settings: *settings()}
	p.Provision.Network = "provision"
	p.Networks["provision"] = site.Network{Subnet: netip.MustParsePrefix("10.20.0.0/16"), Gateway: netip.MustParseAddr("10.20.0.1")}
	p.Roles = map[string]site.Role{}
	for i, network := range []string{"management", "tenant", "storage", "external"} {
		p.Networks[network] = site.Network{Subnet: netip.MustParsePrefix(fmt.Sprintf("10.2%d.0.0/16", i+1)), VLAN: 100 + i}
	}
	add(p, "controller", "controller", 3)
	add(p, "db", "database", 3)
	add(p, "mq", "message-queue", 3)
	add(p, "mon", "monitoring", 1)
	add(p, "net", "network", 2)
	add(p, "hci", "storage-hyperconverged", 3)
	role(p, "hci", func(r *site.Role) { r.Hardware, r.Disks = server256(), disks(6) })
	return p
}

func add(p *site.Plan, name, profile string, count int) {
	p.Roles[name] = site.Role{Profile: profile, Networks: map[string]string{"management": "nic1", "tenant": "nic1", "storage": "nic1", "external": "nic1"}}
	for i := range count {
		var mac site.MAC
		mac[0], mac[4], mac[5] = 2, byte(len(p.Roles)), byte(i)
		p.Nodes = append(p.Nodes, site.Node{Name: fmt.Sprintf("%s-%d", name, i), Role: name, MACs: []site.MAC{mac}, Place: fmt.Sprintf("nodes[%d]", len(p.Nodes))})
	}
}

func role(p *site.Plan, name string, change func(*site.Role)) {
	r := p.Roles[name]
	change(&r)
	p.Roles[name] = r
}

func drop(p *site.Plan, prefix string) {
	p.Nodes = slices.DeleteFunc(p.Nodes, func(n site.Node) bool { return strings.HasPrefix(n.Name, prefix) })
}

func TestCheckHasNothingAgainstAGoodPlan(t *testing.T) {
	for _, f := range Check(profiles.Files, cloud()) {
		t.Errorf("%+v", f)
	}
}

func TestCheck(t *testing.T) {
	set := func(p *site.Plan, name string, values map[string]any) {
		role(p, name, func(r *site.Role) { r.Set = values })
	}
	for name, tt := range map[string]struct {
		change func(*site.Plan)
		want   string // id severity path message
	}{
		"no such profile":   {func(p *site.Plan) { role(p, "mq", func(r *site.Role) { r.Profile = "rabbit" }) }, `profile-unusable error roles.mq.profile: there is no role profile "rabbit"`},
		"malformed profile": {func(p *site.Plan) { p.Profiles = map[string]string{"database": "name: database\nfoo: 1\n"} }, "profile-unusable error roles.db.profile: profile database.yaml: database.yaml:2:1: [2:1] unknown field"},
		"unknown set":       {func(p *site.Plan) { set(p, "db", map[string]any{"hugepages": 1.0}) }, "set-unknown error roles.db.set.hugepages: node db-0: role db set: profile database has no parameter hugepages (and 2 more"},
		"set out of range":  {func(p *site.Plan) { set(p, "mq", map[string]any{"nofile": 100.0}) }, "set-malformed error roles.mq.set.nofile: node mq-0: role mq set: nofile: 100 is less than 64000"},
		"set of a node":     {func(p *site.Plan) { p.Nodes[4].Set = map[string]any{"nofile": "many"} }, `set-malformed error nodes[4].set.nofile: node db-1: node db-1 set: nofile: "many" is not a whole number`},
		"unused role":       {func(p *site.Plan) { add(p, "idle", "compute", 0); set(p, "idle", map[string]any{"nfw": true}) }, "set-unknown error roles.idle.set.nfw: role idle set"},
		"no tenant network": {func(p *site.Plan) { role(p, "net", func(r *site.Role) { delete(r.Networks, "tenant") }) }, "role-network-missing error roles.net: role net has no tenant network: Guests reach their router here"},
		"derive":            {func(p *site.Plan) { set(p, "hci", map[string]any{"osds": 60.0, "separate_cpus": false}) }, "derive-osds error roles.hci.set.osds: node hci-0: 60 OSDs of 5 GiB need more than the 256 GiB"},
		"derive on a node":  {func(p *site.Plan) { p.Nodes[12].Set = map[string]any{"osds": 45.0} }, "derive-osds error nodes[12].set.osds: node hci-0: 45 OSDs and what QEMU"},
		"no hardware":       {func(p *site.Plan) { role(p, "hci", func(r *site.Role) { r.Hardware = site.Hardware{} }) }, "hardware-missing error roles.hci: node hci-0:"},
		"no OSD disk":       {func(p *site.Plan) { role(p, "hci", func(r *site.Role) { r.Disks = site.Disks{} }) }, "osd-disks-missing error roles.hci: node hci-0: no disk is planned"},
		"even":              {func(p *site.Plan) { add2(p, "controller", 1) }, "quorum-even warning roles.controller: 4 nodes of profile controller: Controllers vote"},
		"below quorum":      {func(p *site.Plan) { drop(p, "db-1") }, "quorum-too-small error roles.db: 2 nodes of profile database, while other roles"},
		"few":               {func(p *site.Plan) { drop(p, "net-1") }, "fewer-nodes-than-recommended warning roles.net: 1 node of profile network, 2 are recommended: Routers"},
		"minimum": {func(p *site.Plan) {
			p.Profiles = map[string]string{"monitoring": "name: monitoring\nextends: shipped/monitoring\nconstraints: {minimum: {count: 2, why: So says the site.}}\n"}
		}, "too-few-nodes error roles.mon: 1 node of profile monitoring, at least 2 are needed: So says the site"},
		"conflict": {func(p *site.Plan) {
			add(p, "ceph", "storage", 3)
			role(p, "ceph", func(r *site.Role) { r.Hardware, r.Disks = server256(), disks(6) })
		}, "profile-conflict error roles.hci.profile:"},
		"network device": {func(p *site.Plan) { role(p, "mon", func(r *site.Role) { r.Networks["management"] = "bond9" }) }, "profile-unresolved error roles.mon: node mon-0"},
	} {
		t.Run(name, func(t *testing.T) {
			p := cloud()
			tt.change(p)
			var got []string
			for _, f := range Check(profiles.Files, p) {
				got = append(got, fmt.Sprintf("%s %s %s: %s", f.ID, f.Severity, f.Path, f.Message))
				if f.Fix == "" {
					t.Errorf("%s has no fix", f.ID)
				}
			}
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), tt.want)
			}
		})
	}
}

func add2(p *site.Plan, name string, count int) {
	r := p.Roles[name]
	add(p, name, r.Profile, count)
	p.Roles[name] = r
	last := &p.Nodes[len(p.Nodes)-1]
	last.Name, last.MACs = name+"-more", []site.MAC{{2, 9, 9, 9, 9, 9}}
}

// TestASmallPlanIsNotHighlyAvailable: a laboratory with one of each is warned,
// not refused.
func TestASmallPlanIsNotHighlyAvailable(t *testing.T) {
	p := cloud()
	for _, gone := range []string{"controller-1", "controller-2", "db-1", "db-2", "mq-1", "mq-2", "net-1"} {
		drop(p, gone)
	}
	found := Check(profiles.Files, p)
	if len(found) != 4 || site.HasErrors(found) {
		t.Errorf("got %+v", found)
	}
}

// TestCountsGoByChain: nodes of a site's own profile count for the one that it
// extends.
func TestCountsGoByChain(t *testing.T) {
	p := cloud()
	p.Profiles = map[string]string{"api": "name: api\nextends: controller\n"}
	role(p, "controller", func(r *site.Role) { r.Profile = "api" })
	if found := Check(profiles.Files, p); len(found) > 0 {
		t.Errorf("got %+v", found)
	}
	drop(p, "controller-2")
	if found := Check(profiles.Files, p); len(found) != 1 || !strings.Contains(found[0].Message, "2 nodes of profile controller") {
		t.Errorf("got %+v", found)
	}
}
