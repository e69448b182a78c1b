package planfile

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/rackseed/rackseed/pkg/site"
)

// maxNodes bounds what a file can expand to: four times the largest site
// that the design thinks for.
const maxNodes = 65536

// maxAddresses bounds what one entry can expand to.
const maxAddresses = 16 * maxNodes

func (d *decoder) nodes(n ast.Node) []site.Node {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(n, "not-a-list", "start every entry with - name:", "nodes must be a list")
		return nil
	}
	var out []site.Node
	for i, item := range list.Values {
		expanded := d.entry(item, fmt.Sprintf("nodes[%d]", i))
		if len(out)+len(expanded) > maxNodes {
			d.fail(item, "too-many-nodes", "check the ranges", "with this entry the plan has more than %d nodes", maxNodes)
			return nil
		}
		out = append(out, expanded...)
	}
	return out
}

// entry is one item under nodes: one machine, or a run of machines whose
// values are dealt out one by one.
func (d *decoder) entry(n ast.Node, place string) []site.Node {
	var shared site.Node
	shared.Place = place
	var name, rack, unit, mac, nics, serial, uuid, addresses ast.Node
	var bmc ownBMC
	d.object(n, "a node", []field{
		{"name", keep(&name)},
		{"role", d.into(&shared.Role, "role")},
		{"rack", keep(&rack)},
		{"u", keep(&unit)},
		{"mac", keep(&mac)},
		{"nics", keep(&nics)},
		{"serial", keep(&serial)},
		{"uuid", keep(&uuid)},
		{"addresses", keep(&addresses)},
		{"bmc", func(n ast.Node) { shared.BMC = d.bmc(n, "bmc", &bmc) }},
		{"disks", func(n ast.Node) { shared.Disks = d.disks(n) }},
		{"hardware", func(n ast.Node) { shared.Hardware = d.hardware(n) }},
		{"image", d.into(&shared.Image, "image")},
		{"local_boot", func(n ast.Node) { shared.LocalBoot = site.LocalBoot(d.text(n, "local_boot")) }},
		{"set", func(n ast.Node) { shared.Set = d.freeMap(n, "set") }},
	})
	if name == nil {
		if len(pairs(n)) > 0 {
			d.fail(n, "hostname-missing", "add name: HOSTNAME", "this node has no name")
		}
		return nil
	}
	names := d.expand(name, "the name")
	nodes := make([]site.Node, len(names))
	for i := range nodes {
		nodes[i] = shared
		nodes[i].Name = names[i]
	}
	d.dealRacks(rack, nodes)
	d.deal(unit, "u", nodes, func(i int, v ast.Node) { nodes[i].U = d.number(v, "u", "12") })
	d.dealMACs(mac, nodes)
	d.dealNICs(nics, nodes)
	d.dealSerials(serial, nodes)
	d.deal(uuid, "uuid", nodes, func(i int, v ast.Node) { nodes[i].UUID = d.uuid(v) })
	d.dealAddresses(addresses, nodes)
	d.dealBMCs(bmc.address, nodes)
	d.deal(bmc.mac, "bmc.mac", nodes, func(i int, v ast.Node) { nodes[i].BMC.MAC = d.mac(v) })
	return nodes
}

func (d *decoder) expand(n ast.Node, what string) []string {
	text := d.text(n, what)
	if text == "" {
		return nil
	}
	out, err := site.Expand(text)
	if err != nil {
		d.fail(n, "range-malformed", "a range is written cs-computer-[0001-0512]", "%s %v", what, err)
	}
	return out
}

// deal gives each node its value: a single value to a single node, a list of
// the same length to a run.
func (d *decoder) deal(n ast.Node, what string, nodes []site.Node, give func(i int, v ast.Node)) {
	if n == nil || len(nodes) == 0 || !d.plain(n) {
		return
	}
	values := items(n)
	if len(values) != len(nodes) {
		d.fail(n, "length-mismatch", fmt.Sprintf("list %d values, one for each node", len(nodes)), "%d values of %s for %d nodes (%s)", len(values), what, len(nodes), run(nodes))
		return
	}
	for i, v := range values {
		if !isNull(v) {
			give(i, v)
		}
	}
}

func run(nodes []site.Node) string {
	if len(nodes) == 1 {
		return nodes[0].Name
	}
	return nodes[0].Name + " to " + nodes[len(nodes)-1].Name
}

// dealRacks fills one rack after the other: A[01-32] over 512 nodes puts the
// first 16 into A01.
func (d *decoder) dealRacks(n ast.Node, nodes []site.Node) {
	if n == nil || len(nodes) == 0 {
		return
	}
	racks := d.expand(n, "the rack")
	if len(racks) > len(nodes) {
		d.fail(n, "length-mismatch", "name at most as many racks as nodes", "%d racks for %d nodes (%s)", len(racks), len(nodes), run(nodes))
		return
	}
	for i := range nodes {
		if len(racks) > 0 {
			nodes[i].Rack = racks[i*len(racks)/len(nodes)]
		}
	}
}

// dealSerials also takes a range, because a batch of machines often has
// serial numbers in sequence.
func (d *decoder) dealSerials(n ast.Node, nodes []site.Node) {
	if t, one := scalar(n); one && len(nodes) > 1 && strings.ContainsRune(t.Value, '[') {
		serials := d.expand(n, "the serial")
		if len(serials) != len(nodes) {
			d.fail(n, "length-mismatch", "give the range as many numbers as there are nodes", "%d serials for %d nodes (%s)", len(serials), len(nodes), run(nodes))
			return
		}
		for i := range nodes {
			nodes[i].Serial = serials[i]
		}
		return
	}
	d.deal(n, "serial", nodes, func(i int, v ast.Node) { nodes[i].Serial = d.text(v, "serial") })
}

// dealMACs takes a list for a single node as the NICs of that node; the list
// of a run has one item for each node, which may be a list again.
func (d *decoder) dealMACs(n ast.Node, nodes []site.Node) {
	if n == nil || len(nodes) == 0 {
		return
	}
	if len(nodes) == 1 {
		nodes[0].MACs = d.macs(n)
		return
	}
	d.deal(n, "mac", nodes, func(i int, v ast.Node) { nodes[i].MACs = d.macs(v) })
}

// dealNICs gives the ports of a single node, or with a list the ports of each
// node of a run. One mapping for a whole run holds paths and names, which
// machines of one model share.
func (d *decoder) dealNICs(n ast.Node, nodes []site.Node) {
	if n == nil || len(nodes) == 0 {
		return
	}
	if _, list := n.(*ast.SequenceNode); list {
		d.deal(n, "nics", nodes, func(i int, v ast.Node) { nodes[i].NICs = named(d, v, "nics", d.nic) })
	} else {
		nics := named(d, n, "nics", d.nic)
		for i := range nodes {
			nodes[i].NICs = nics
		}
	}
	for i := range nodes {
		claimNICs(&nodes[i])
	}
}

// claimNICs lets a machine be known by each of its ports.
func claimNICs(n *site.Node) {
	for _, name := range slices.Sorted(maps.Keys(n.NICs)) {
		if mac := n.NICs[name].MAC; mac != (site.MAC{}) && !slices.Contains(n.MACs, mac) {
			n.MACs = append(n.MACs, mac)
		}
	}
}

func (d *decoder) macs(n ast.Node) []site.MAC {
	var out []site.MAC
	for _, item := range items(n) {
		if isNull(item) {
			continue
		}
		if m := d.mac(item); m != (site.MAC{}) {
			out = append(out, m)
		}
	}
	return out
}

func (d *decoder) uuid(n ast.Node) site.UUID {
	text := d.text(n, "uuid")
	if text == "" {
		return site.UUID{}
	}
	u, err := site.ParseUUID(text)
	if err != nil {
		d.fail(n, "uuid-malformed", "", "%v", err)
	}
	return u
}

func (d *decoder) dealAddresses(n ast.Node, nodes []site.Node) {
	if n == nil || len(nodes) == 0 {
		return
	}
	if len(pairs(n))*len(nodes) > maxAddresses {
		d.fail(n, "too-many-addresses", "check the ranges", "this entry has more than %d addresses", maxAddresses)
		return
	}
	d.entries(n, "addresses", func(network string, value ast.Node) {
		if isNull(value) {
			return
		}
		for i, a := range d.addressRun(value, "the address on "+network, nodes) {
			if !a.IsValid() {
				continue
			}
			if nodes[i].Addresses == nil {
				nodes[i].Addresses = map[string]netip.Addr{}
			}
			nodes[i].Addresses[network] = a
		}
	})
}

// addressRun gives one address for each node: from a start (10.20.1.1+), from
// a list, or for a single node from a single address.
func (d *decoder) addressRun(n ast.Node, what string, nodes []site.Node) []netip.Addr {
	out := make([]netip.Addr, len(nodes))
	if _, one := scalar(n); !one {
		d.deal(n, what, nodes, func(i int, v ast.Node) { out[i] = d.addr(v, what) })
		return out
	}
	text := d.text(n, what)
	start, isRun := strings.CutSuffix(text, "+")
	first := d.parseAddr(n, strings.TrimSpace(start), what)
	if !first.IsValid() {
		return nil
	}
	if !isRun && len(nodes) > 1 {
		d.fail(n, "length-mismatch", "write "+text+"+ to count up from it", "%s is one address for %d nodes (%s)", what, len(nodes), run(nodes))
		return nil
	}
	out[0] = first
	for i := 1; i < len(nodes); i++ {
		a, ok := site.AddrAfter(first, i)
		if !ok {
			d.fail(n, "address-run-out", "start lower", "%s: there are no %d IPv4 addresses from %s on", what, len(nodes), first)
			return nil
		}
		out[i] = a
	}
	return out
}

func (d *decoder) dealBMCs(n ast.Node, nodes []site.Node) {
	if n == nil || len(nodes) == 0 {
		return
	}
	if t, one := scalar(n); one && strings.HasSuffix(strings.TrimSpace(t.Value), "+") {
		for i, a := range d.addressRun(n, "the BMC address", nodes) {
			nodes[i].BMC.Address = a.String()
		}
		return
	}
	d.deal(n, "bmc.address", nodes, func(i int, v ast.Node) { nodes[i].BMC.Address = d.text(v, "the BMC address") })
}

func (d *decoder) disks(n ast.Node) site.Disks {
	var out site.Disks
	d.object(n, "disks", []field{
		{"system", func(n ast.Node) { out.System = d.diskList(n) }},
		{"osd", func(n ast.Node) { out.OSD = d.diskList(n) }},
		{"osd_db", func(n ast.Node) { out.OSDDB = d.diskList(n) }},
		{"osd_policy", func(n ast.Node) { out.OSDPolicy = site.OSDPolicy(d.text(n, "osd_policy")) }},
	})
	return out
}

func (d *decoder) diskList(n ast.Node) []site.DiskSelector {
	var out []site.DiskSelector
	for _, item := range items(n) {
		out = append(out, d.disk(item))
	}
	return out
}

func (d *decoder) disk(n ast.Node) site.DiskSelector {
	var s site.DiskSelector
	if t, ok := scalar(n); ok {
		d.fail(n, "disk-by-name", `write {wwn: "0x5000c500a1b2c3d4"}, or serial, by_path, or model with min_size`,
			"%q does not say which disk: names such as sda move", t.Value)
		return s
	}
	d.object(n, "a disk", []field{
		{"wwn", d.into(&s.WWN, "wwn")},
		{"serial", d.into(&s.Serial, "serial")},
		{"by_path", func(n ast.Node) { s.ByPath = strings.TrimPrefix(d.text(n, "by_path"), "/dev/disk/by-path/") }},
		{"model", d.into(&s.Model, "model")},
		{"min_size", func(n ast.Node) { s.MinSize = d.size(n, "min_size") }},
		{"max_size", func(n ast.Node) { s.MaxSize = d.size(n, "max_size") }},
		{"rotational", func(n ast.Node) {
			v := d.boolean(n, "rotational")
			s.Rotational = &v
		}},
		{"count", func(n ast.Node) { s.Count = d.number(n, "count", "2") }},
	})
	return s
}
