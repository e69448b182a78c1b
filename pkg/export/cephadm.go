package export

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/rackseed/rackseed/pkg/site"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// cephadm writes the specifications for `ceph orch apply`: hosts with labels
// and racks, monitors and managers by label, OSDs by what identifies their
// disks; and the few settings that `cephadm bootstrap` wants at once.
func cephadm(s *Site) (Export, error) {
	c := &cephWriter{site: s}
	for _, n := range s.Nodes {
		if len(n.Intent.Disks.OSD) > 0 {
			c.osds = append(c.osds, n)
		}
	}
	if len(c.osds) == 0 {
		return Export{}, fmt.Errorf("no node of the plan has disks for OSDs: name them under disks.osd of a role or a node")
	}
	c.chooseMonitors()
	docs := c.hostDocs()
	docs = append(docs, c.service("mon"), c.service("mgr"))
	docs = append(docs, c.osdDocs()...)
	conf := c.conf()
	var b strings.Builder
	for _, d := range docs {
		text, err := toYAML(d)
		if err != nil {
			return Export{}, err
		}
		b.WriteString("---\n" + text)
	}
	head := s.heading("cephadm specification", c.steps()...)
	return Export{Warnings: c.warn, Files: []File{
		{Name: "cluster.yaml", Text: head + c.warn.comment() + b.String()},
		{Name: "ceph.conf", Text: s.heading("Ceph bootstrap configuration") + conf},
	}}, nil
}

type cephWriter struct {
	site *Site
	warn warnings
	osds []Node
	mons []Node
}

// Monitors: five at most and an odd number, because an even one stands no
// more failures than one less.
const mostMonitors = 5

// chooseMonitors takes controllers that reach the storage network; failing
// them, OSD hosts out of as many racks as there are.
func (c *cephWriter) chooseMonitors() {
	var fit []Node
	for _, n := range c.site.nodesOf("controller") {
		if _, ok := c.publicAddress(n); ok {
			fit = append(fit, n)
		}
	}
	if len(fit) < 3 {
		fit = append(fit, spread(without(c.osds, fit))...)
		if len(c.site.nodesOf("controller")) > 0 {
			c.warn.add("fewer than three controllers are on the storage network, so monitors run on OSD hosts: map network storage in the role of the controllers to keep them apart")
		}
	}
	count := min(len(fit), mostMonitors)
	c.mons = fit[:count-(count+1)%2]
	if len(c.mons) < 3 {
		c.warn.add("the cluster has %d monitor: one host down stops it", len(c.mons))
	}
}

func without(nodes, taken []Node) []Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool {
		return slices.ContainsFunc(taken, func(t Node) bool { return t.Name == n.Name })
	})
}

// spread reorders nodes so that the first ones stand in different racks.
func spread(nodes []Node) []Node {
	turn, in := map[string]int{}, map[string]int{}
	for _, n := range nodes {
		turn[n.Name] = in[n.Rack]
		in[n.Rack]++
	}
	slices.SortStableFunc(nodes, func(a, b Node) int { return cmp.Compare(turn[a.Name], turn[b.Name]) })
	return nodes
}

// publicAddress is where the node's Ceph daemons are reached.
func (c *cephWriter) publicAddress(n Node) (netip.Addr, bool) {
	if len(c.site.networksFor(site.NetStorage)) == 0 {
		return c.site.address(n)
	}
	return c.site.addressOn(n, site.NetStorage)
}

func (c *cephWriter) hostDocs() []yaml.MapSlice {
	var docs []yaml.MapSlice
	var missing []string
	labels := c.labels()
	for _, n := range c.site.Nodes {
		if len(labels[n.Name]) == 0 {
			continue
		}
		doc := yaml.MapSlice{{Key: "service_type", Value: "host"}, {Key: "hostname", Value: n.Name}}
		if a, ok := c.site.address(n); ok {
			doc = append(doc, yaml.MapItem{Key: "addr", Value: a.String()})
		} else {
			missing = append(missing, n.Name)
		}
		if n.Rack != "" {
			doc = append(doc, yaml.MapItem{Key: "location", Value: yaml.MapSlice{{Key: "rack", Value: n.Rack}}})
		}
		docs = append(docs, append(doc, yaml.MapItem{Key: "labels", Value: labels[n.Name]}))
	}
	if len(missing) > 0 {
		c.warn.add("%s: no address that the plan reserves: cephadm will look up the name", abbreviate(missing))
	}
	return docs
}

func (c *cephWriter) labels() map[string][]string {
	out := map[string][]string{}
	for _, n := range c.mons {
		out[n.Name] = append(out[n.Name], "_admin", "mon", "mgr")
	}
	for _, n := range c.osds {
		out[n.Name] = append(out[n.Name], "osd")
	}
	for _, g := range c.groups() {
		if g.label != "osd" && g.label != "" {
			for _, n := range g.nodes {
				out[n.Name] = append(out[n.Name], g.label)
			}
		}
	}
	return out
}

func (c *cephWriter) service(kind string) yaml.MapSlice {
	return yaml.MapSlice{{Key: "service_type", Value: kind}, {Key: "placement", Value: yaml.MapSlice{{Key: "label", Value: kind}}}}
}

// osdGroup is the hosts whose OSDs are chosen alike.
type osdGroup struct {
	id    string // part of the service id
	label string // that only they have; empty means that they are named
	disks site.Disks
	nodes []Node
}

func (c *cephWriter) groups() []osdGroup {
	byDisks := map[string]*osdGroup{}
	var order []string
	perRole := map[string]int{}
	for _, n := range c.osds {
		key := n.Role + fmt.Sprintf(" %+v %+v", selectors(n.Intent.Disks.OSD), selectors(n.Intent.Disks.OSDDB))
		g := byDisks[key]
		if g == nil {
			g = &osdGroup{id: n.Role, disks: n.Intent.Disks}
			byDisks[key] = g
			order = append(order, key)
			perRole[n.Role]++
		}
		g.nodes = append(g.nodes, n)
	}
	var out []osdGroup
	for _, key := range order {
		g := *byDisks[key]
		switch {
		case len(order) == 1:
			g.label = "osd"
		case perRole[g.id] == 1:
			g.label = "osd-" + g.id
		default:
			g.id += "-" + g.nodes[0].Name
		}
		out = append(out, g)
	}
	return out
}

// selectors writes pointers out, so that equal selectors compare equal.
func selectors(list []site.DiskSelector) string {
	var b strings.Builder
	for _, d := range list {
		rotational := "any"
		if d.Rotational != nil {
			rotational = fmt.Sprint(*d.Rotational)
		}
		fmt.Fprintf(&b, "%q %q %q %q %d %d %s;", d.WWN, d.Serial, d.ByPath, d.Model, d.MinSize, d.MaxSize, rotational)
	}
	return b.String()
}

func (c *cephWriter) osdDocs() []yaml.MapSlice {
	var docs []yaml.MapSlice
	for _, g := range c.groups() {
		db := c.filters(g, g.disks.OSDDB)
		if len(db) > 1 {
			c.warn.add("role %s: an OSD service takes one choice of DB disks: %d of them were left out", g.nodes[0].Role, len(db)-1)
		}
		data := c.filters(g, g.disks.OSD)
		for i, f := range data {
			spec := yaml.MapSlice{{Key: "data_devices", Value: f}}
			if len(db) > 0 {
				spec = append(spec, yaml.MapItem{Key: "db_devices", Value: db[0]})
			}
			id := g.id
			if len(data) > 1 {
				id = fmt.Sprintf("%s-%d", g.id, i+1)
			}
			docs = append(docs, yaml.MapSlice{
				{Key: "service_type", Value: "osd"}, {Key: "service_id", Value: id},
				{Key: "placement", Value: g.placement()}, {Key: "spec", Value: spec},
			})
		}
	}
	return docs
}

func (g osdGroup) placement() yaml.MapSlice {
	if g.label != "" {
		return yaml.MapSlice{{Key: "label", Value: g.label}}
	}
	return yaml.MapSlice{{Key: "hosts", Value: names(g.nodes)}}
}

// filters turns selectors into what a drive group understands: paths in one
// list, and each choice by properties for itself.
func (c *cephWriter) filters(g osdGroup, list []site.DiskSelector) []yaml.MapSlice {
	var paths []string
	var out []yaml.MapSlice
	for _, d := range list {
		switch {
		case d.WWN != "":
			paths = append(paths, byID(d.WWN))
		case d.ByPath != "":
			paths = append(paths, "/dev/disk/by-path/"+d.ByPath)
		case d.Serial != "":
			c.warn.add("%s: Ceph does not choose a disk by its serial number, so disk %s was left out: give its wwn or by_path", abbreviate(names(g.nodes)), d.Serial)
		default:
			out = append(out, properties(d))
		}
	}
	if len(paths) > 0 {
		out = append([]yaml.MapSlice{{{Key: "paths", Value: paths}}}, out...)
	}
	return out
}

// byID is the link that udev makes for a WWN as lsblk prints it: SCSI and SATA
// disks have 0x…, NVMe namespaces eui.… or nvme.….
func byID(wwn string) string {
	if strings.HasPrefix(wwn, "eui.") || strings.HasPrefix(wwn, "nvme.") {
		return "/dev/disk/by-id/nvme-" + wwn
	}
	return "/dev/disk/by-id/wwn-0x" + strings.TrimPrefix(strings.ToLower(wwn), "0x")
}

func properties(d site.DiskSelector) yaml.MapSlice {
	var out yaml.MapSlice
	if d.Model != "" {
		out = append(out, yaml.MapItem{Key: "model", Value: d.Model})
	}
	if d.MinSize > 0 || d.MaxSize > 0 {
		out = append(out, yaml.MapItem{Key: "size", Value: decimal(d.MinSize, false) + ":" + decimal(d.MaxSize, true)})
	}
	if d.Rotational != nil {
		value := 0
		if *d.Rotational {
			value = 1
		}
		out = append(out, yaml.MapItem{Key: "rotational", Value: value})
	}
	return out
}

// decimal writes a size in the largest unit that keeps it whole. Ceph reads
// units as powers of ten, and no unit below MB.
func decimal(bytes int64, up bool) string {
	const mb = 1_000_000
	if bytes <= 0 {
		return ""
	}
	n := bytes / mb
	if up && bytes%mb > 0 {
		n++
	}
	unit := "MB"
	for _, larger := range []string{"GB", "TB"} {
		if n == 0 || n%1000 > 0 {
			break
		}
		n, unit = n/1000, larger
	}
	return fmt.Sprintf("%d%s", n, unit)
}

// conf is the configuration of the first moment; later changes belong into
// the cluster's own.
func (c *cephWriter) conf() string {
	var b strings.Builder
	b.WriteString("[global]\n")
	public, cluster := c.subnets(site.NetStorage), c.subnets(site.NetStorageCluster)
	if public != "" {
		fmt.Fprintf(&b, "public_network = %s\n", public)
	}
	if cluster != "" && cluster != public {
		fmt.Fprintf(&b, "cluster_network = %s\n", cluster)
	}
	target, same := c.same("osd_memory_target")
	switch {
	case !same:
		c.warn.add("osd_memory_target differs between OSD hosts: set it by `ceph config set osd/host:NAME osd_memory_target BYTES`")
	case target != "":
		fmt.Fprintf(&b, "\n[osd]\n# as each node's tuning has set memory aside for it\nosd_memory_target = %s\nosd_memory_target_autotune = false\n", oneLine(target))
	}
	return b.String()
}

func (c *cephWriter) subnets(role site.NetworkRole) string {
	var out []string
	for _, name := range c.site.networksFor(role) {
		out = append(out, c.site.Settings.Networks[name].Subnet.String())
	}
	return strings.Join(out, ",")
}

// same gives a derived value if all OSD hosts agree on it.
func (c *cephWriter) same(key string) (string, bool) {
	first := derived(c.osds[0], key)
	for _, n := range c.osds {
		if derived(n, key) != first {
			return "", false
		}
	}
	return first, true
}

// derived is a value that was computed from the node's hardware.
func derived(n Node, key string) string {
	for _, s := range n.Intent.Derived {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// steps tell how the files are used, with this site's addresses.
func (c *cephWriter) steps() []string {
	mon := "ADDRESS"
	if len(c.mons) > 0 {
		if a, ok := c.publicAddress(c.mons[0]); ok {
			mon = a.String()
		}
	}
	return []string{
		fmt.Sprintf("On %s:  cephadm bootstrap --mon-ip %s --config ceph.conf --ssh-user root", c.mons[0].Name, mon),
		"Then the key of `ceph cephadm get-pub-key` into root's authorized_keys of every host, and:",
		"         ceph orch apply -i cluster.yaml --dry-run",
	}
}
