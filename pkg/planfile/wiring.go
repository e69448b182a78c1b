package planfile

import (
	"net/netip"

	"github.com/goccy/go-yaml/ast"

	"github.com/rackseed/rackseed/pkg/site"
)

func (d *decoder) networkRoles(n ast.Node) []site.NetworkRole {
	var out []site.NetworkRole
	for _, text := range d.texts(n, "a network role") {
		out = append(out, site.NetworkRole(text))
	}
	return out
}

func (d *decoder) routes(n ast.Node) []site.Route {
	var out []site.Route
	for _, item := range items(n) {
		var r site.Route
		d.object(item, "a route", []field{
			{"to", func(n ast.Node) { r.To = d.prefix(n, "the destination") }},
			{"via", func(n ast.Node) { r.Via = d.addr(n, "the gateway of the route") }},
		})
		out = append(out, r)
	}
	return out
}

// nic takes a bare MAC for the common case.
func (d *decoder) nic(n ast.Node, what string) site.NIC {
	var v site.NIC
	if _, one := scalar(n); one {
		v.MAC = d.mac(n)
		return v
	}
	d.object(n, what, []field{
		{"mac", func(n ast.Node) { v.MAC = d.mac(n) }},
		{"path", d.into(&v.Path, "path")},
		{"name", d.into(&v.Name, "name")},
		{"speed", func(n ast.Node) { v.Speed = d.number(n, "the speed in Mbit/s", "25000") }},
		{"switch", d.into(&v.Switch, "switch")},
		{"port", d.into(&v.Port, "port")},
	})
	return v
}

func (d *decoder) mac(n ast.Node) site.MAC {
	text := d.text(n, "mac")
	if text == "" {
		return site.MAC{}
	}
	m, err := site.ParseMAC(text)
	if err != nil {
		d.fail(n, "mac-malformed", "", "%v", err)
	}
	return m
}

func (d *decoder) bond(n ast.Node, what string) site.Bond {
	var b site.Bond
	d.object(n, what, []field{
		{"nics", func(n ast.Node) { b.NICs = d.texts(n, "a NIC of the bond") }},
		{"mode", d.into(&b.Mode, "mode")},
		{"options", func(n ast.Node) { b.Options = d.textMap(n, what+".options") }},
		{"mtu", func(n ast.Node) { b.MTU = d.number(n, "the MTU", "9000") }},
		{"fallback", d.into(&b.Fallback, "fallback")},
	})
	return b
}

func (d *decoder) textMap(n ast.Node, what string) map[string]string {
	out := map[string]string{}
	d.entries(n, what, func(name string, value ast.Node) {
		if !isNull(value) {
			out[name] = d.text(value, what+"."+name)
		}
	})
	return out
}

func (d *decoder) hardware(n ast.Node) site.Hardware {
	var h site.Hardware
	d.object(n, "hardware", []field{
		{"arch", d.into(&h.Arch, "arch")},
		{"boot", d.into(&h.Boot, "boot")},
		{"sockets", func(n ast.Node) { h.Sockets = d.number(n, "sockets", "2") }},
		{"cores", func(n ast.Node) { h.Cores = d.number(n, "cores", "16") }},
		{"threads", func(n ast.Node) { h.Threads = d.number(n, "threads", "2") }},
		{"numa", func(n ast.Node) { h.NUMA = d.texts(n, "the CPUs of a NUMA node") }},
		{"cpu_level", func(n ast.Node) { h.CPULevel = d.number(n, "the x86-64 level", "3") }},
		{"cpu_flags", func(n ast.Node) { h.CPUFlags = d.texts(n, "a CPU flag") }},
		{"memory", func(n ast.Node) { h.Memory = d.size(n, "memory") }},
		{"disks", func(n ast.Node) {
			for _, item := range items(n) {
				h.Disks = append(h.Disks, d.inventoryDisk(item))
			}
		}},
	})
	return h
}

func (d *decoder) inventoryDisk(n ast.Node) site.InventoryDisk {
	var v site.InventoryDisk
	d.object(n, "a disk", []field{
		{"wwn", d.into(&v.WWN, "wwn")},
		{"serial", d.into(&v.Serial, "serial")},
		{"by_path", d.into(&v.ByPath, "by_path")},
		{"model", d.into(&v.Model, "model")},
		{"size", func(n ast.Node) { v.Size = d.size(n, "size") }},
		{"rotational", func(n ast.Node) { v.Rotational = d.boolean(n, "rotational") }},
		{"count", func(n ast.Node) { v.Count = d.number(n, "count", "2") }},
	})
	return v
}

func (d *decoder) openstack(n ast.Node) site.OpenStack {
	var o site.OpenStack
	vip := func(to *netip.Addr, what string) func(ast.Node) {
		return func(n ast.Node) { *to = d.addr(n, what) }
	}
	d.object(n, "openstack", []field{
		{"deployer", d.into(&o.Deployer, "deployer")},
		{"release", d.into(&o.Release, "release")},
		{"internal_vip", vip(&o.InternalVIP, "the internal VIP")},
		{"external_vip", vip(&o.ExternalVIP, "the external VIP")},
		{"virtual_router_id", func(n ast.Node) { o.VirtualRouterID = d.number(n, "the virtual router id", "51") }},
		{"registry", d.into(&o.Registry, "registry")},
	})
	return o
}

func (d *decoder) repository(n ast.Node, what string) site.Repository {
	var r site.Repository
	d.object(n, what, []field{
		{"url", d.into(&r.URL, "url")},
		{"key", d.into(&r.Key, "key")},
		{"images", func(n ast.Node) { r.Images = d.texts(n, "an image") }},
		{"suite", d.into(&r.Suite, "suite")},
	})
	return r
}
