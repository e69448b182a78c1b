package export

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// kolla writes what kolla-ansible reads: the multinode inventory, a fragment
// of globals.yml, and overrides of service configuration for what the tuning
// of the nodes has already decided.
func kolla(s *Site) (Export, error) {
	k := &kollaWriter{site: s}
	k.group()
	if len(k.members["control"]) == 0 {
		return Export{}, fmt.Errorf("the plan has no machine that could be a controller: give one a role with profile controller")
	}
	k.checkSystems()
	k.vars = k.interfaces()
	k.everywhere = k.sharedByAll()
	globals, err := k.globals()
	if err != nil {
		return Export{}, err
	}
	overrides := k.overrides()
	files := append([]File{{Name: "multinode", Text: k.inventory()}, {Name: "globals.yml", Text: globals}}, overrides...)
	return Export{Files: files, Warnings: k.warn}, nil
}

type kollaWriter struct {
	site    *Site
	warn    warnings
	members map[string][]Node // of the groups that have machines
	notes   map[string]string // why a group has the machines it has

	vars       map[string]map[string]string // by node and variable
	everywhere map[string]string            // variables that all nodes share
}

// topGroups are those of kolla-ansible that list machines, in order of the
// file. The dedicated ones exist only if the plan has machines for them.
func topGroups() []string {
	return []string{"control", "network", "compute", "monitoring", "storage", "mariadb", "rabbitmq"}
}

// group sorts the machines into groups by profile. A group that no machine
// was planned for falls to the controllers, as in a small site.
func (k *kollaWriter) group() {
	s := k.site
	k.members = map[string][]Node{
		"control":    s.nodesOf("controller"),
		"network":    s.nodesOf("network"),
		"compute":    s.nodesOf("compute", "storage-hyperconverged"),
		"monitoring": s.nodesOf("monitoring"),
		"storage":    s.nodesOf("storage", "storage-hyperconverged"),
		"mariadb":    s.nodesOf("database"),
		"rabbitmq":   s.nodesOf("message-queue"),
	}
	k.notes = map[string]string{}
	if len(k.members["control"]) == 0 {
		k.controlOnCompute()
	}
	for _, g := range []string{"network", "compute", "monitoring", "storage"} {
		if len(k.members[g]) == 0 {
			k.members[g] = k.members["control"]
			k.notes[g] = "no machine of the plan is for this alone, so the controllers are"
		}
	}
}

// controlOnCompute is for a site of few machines that are all alike.
func (k *kollaWriter) controlOnCompute() {
	const quorum = 3
	compute := k.members["compute"]
	k.members["control"] = compute[:min(len(compute), quorum)]
	if len(compute) > 0 {
		k.warn.add("no node has profile controller: the control plane goes to %s", abbreviate(names(k.members["control"])))
		k.notes["control"] = "hyperconverged: no node has profile controller"
	}
}

// checkSystems warns where the prechecks of the deployer will stop.
func (k *kollaWriter) checkSystems() {
	release := k.site.Settings.OpenStack.Release
	if release == "" {
		k.warn.add("openstack.release is not in the plan: whether kolla-ansible accepts these systems was not checked")
		return
	}
	if site.KollaSystems(release) == nil {
		k.warn.add("release %s: what kolla-ansible accepts there is not known; known are %s", release, strings.Join(site.KollaReleases(), ", "))
		return
	}
	refused := map[string][]string{}
	for _, n := range k.site.Nodes {
		if ok, known := site.KollaAccepts(release, n.System.Distro, n.System.Version); known && !ok {
			system := n.System.Distro + " " + n.System.Version
			refused[system] = append(refused[system], n.Name)
		}
	}
	for _, system := range sortedKeys(refused) {
		k.warn.add("kolla-ansible %s refuses hosts with %s (%s); it accepts %s. prechecks_enable_host_os_checks: no passes over it, at your own risk",
			release, system, abbreviate(refused[system]), strings.Join(site.KollaSystems(release), ", "))
	}
}

// inventory writes the INI file. Every machine has its variables where it is
// listed first.
func (k *kollaWriter) inventory() string {
	var b strings.Builder
	b.WriteString(k.site.heading("kolla-ansible multinode inventory",
		"kolla-ansible -i multinode bootstrap-servers, then prechecks, then deploy; put globals.yml and config/ into /etc/kolla."))
	b.WriteString(k.warn.comment())
	written := map[string]bool{}
	for i, g := range topGroups() {
		k.writeTop(&b, g, topGroups()[:i], written)
	}
	b.WriteString("\n[deployment]\nlocalhost ansible_connection=local\n")
	k.writeChildren(&b)
	k.writeVars(&b)
	return b.String()
}

// iniGroup is a group whose members are groups.
type iniGroup struct {
	name     string
	children []string
}

func (k *kollaWriter) writeTop(b *strings.Builder, name string, before []string, written map[string]bool) {
	nodes := k.members[name]
	if len(nodes) == 0 {
		return
	}
	b.WriteString("\n")
	if why := k.notes[name]; why != "" {
		fmt.Fprintf(b, "# %s\n", why)
	}
	for _, other := range before {
		if slices.Equal(names(k.members[other]), names(nodes)) {
			fmt.Fprintf(b, "[%s:children]\n%s\n", name, other)
			return
		}
	}
	fmt.Fprintf(b, "[%s]\n", name)
	for _, n := range nodes {
		b.WriteString(n.Name)
		if !written[n.Name] {
			b.WriteString(k.hostLine(n))
			written[n.Name] = true
		}
		b.WriteString("\n")
	}
}

func (k *kollaWriter) hostLine(n Node) string {
	var b strings.Builder
	if a, ok := k.site.address(n); ok {
		fmt.Fprintf(&b, " ansible_host=%s", a)
	}
	for _, v := range sortedKeys(k.vars[n.Name]) {
		if _, shared := k.everywhere[v]; !shared && !k.byGroup(n, v) {
			fmt.Fprintf(&b, " %s=%s", v, k.vars[n.Name][v])
		}
	}
	return b.String()
}

// byGroup reports whether a group of the node gives it the variable.
func (k *kollaWriter) byGroup(n Node, variable string) bool {
	return slices.ContainsFunc(topGroups(), func(g string) bool {
		if _, same := k.sharedIn(g, variable); !same {
			return false
		}
		return slices.ContainsFunc(k.members[g], func(m Node) bool { return m.Name == n.Name })
	})
}

// sharedIn gives the value that all machines of a group have.
func (k *kollaWriter) sharedIn(group, variable string) (string, bool) {
	nodes := k.members[group]
	if len(nodes) == 0 {
		return "", false
	}
	value, ok := k.vars[nodes[0].Name][variable]
	for _, n := range nodes {
		if v, has := k.vars[n.Name][variable]; !has || v != value {
			return "", false
		}
	}
	return value, ok
}

// sharedByAll are the variables on which every node that has them agrees.
// Only those may stand in globals.yml, because it wins over the inventory.
func (k *kollaWriter) sharedByAll() map[string]string {
	out, differ := map[string]string{}, map[string]bool{}
	for _, vars := range k.vars {
		for v, value := range vars {
			if was, seen := out[v]; seen && was != value {
				differ[v] = true
			}
			out[v] = value
		}
	}
	maps.DeleteFunc(out, func(v, _ string) bool { return differ[v] })
	return out
}

func (k *kollaWriter) writeChildren(b *strings.Builder) {
	baremetal := iniGroup{name: "baremetal", children: []string{"control", "network", "compute", "storage", "monitoring"}}
	var dedicated []iniGroup
	for _, g := range []string{"mariadb", "rabbitmq"} {
		if len(k.members[g]) > 0 {
			baremetal.children = append(baremetal.children, g)
		} else {
			dedicated = append(dedicated, iniGroup{g, []string{"control"}})
		}
	}
	groups := append([]iniGroup{baremetal}, dedicated...)
	groups = append(groups, services()...)
	groups = append(groups, iniGroup{"cinder-volume", k.cinderOn()}, iniGroup{"cinder-backup", k.cinderOn()})
	for _, g := range groups {
		fmt.Fprintf(b, "\n[%s:children]\n%s\n", g.name, strings.Join(g.children, "\n"))
	}
}

// cinderOn keeps cinder-volume off hosts of Ceph: with that backend it only
// speaks to the cluster, and one on each of hundreds of hosts is hundreds of
// clients of the database and the message queue.
func (k *kollaWriter) cinderOn() []string {
	if slices.ContainsFunc(k.members["storage"], func(n Node) bool { return len(n.Intent.Disks.OSD) > 0 }) {
		return []string{"control"}
	}
	return []string{"storage"}
}

func (k *kollaWriter) writeVars(b *strings.Builder) {
	for _, g := range topGroups() {
		var lines []string
		for _, v := range k.variables() {
			if _, shared := k.everywhere[v]; shared {
				continue
			}
			if value, same := k.sharedIn(g, v); same {
				lines = append(lines, v+"="+value)
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(b, "\n[%s:vars]\n%s\n", g, strings.Join(lines, "\n"))
		}
	}
	b.WriteString("\n[baremetal:vars]\nansible_user=root\n")
}

func (k *kollaWriter) variables() []string {
	all := map[string]bool{}
	for _, vars := range k.vars {
		for v := range vars {
			all[v] = true
		}
	}
	return sortedKeys(all)
}

// baseDistro is what the containers are built on: the host's own where Kolla
// builds images for it, else Rocky, which runs on every EL-like host.
func (k *kollaWriter) baseDistro() string {
	count := map[string]int{}
	for _, n := range k.site.Nodes {
		switch d := n.System.Distro; d {
		case "":
		case "debian", "ubuntu", "centos":
			count[d]++
		default:
			count["rocky"]++
		}
	}
	distros := sortedKeys(count)
	if len(distros) == 0 {
		return ""
	}
	slices.SortStableFunc(distros, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	if len(distros) > 1 {
		k.warn.add("hosts run different systems; all containers will be built on %s (kolla_base_distro)", distros[0])
	}
	return distros[0]
}
