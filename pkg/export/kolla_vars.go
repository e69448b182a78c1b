package export

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// interfaceVars are the variables that name an interface, each with the
// network roles that it can be taken from, the best first.
func interfaceVars() []struct {
	name  string
	roles []site.NetworkRole
} {
	return []struct {
		name  string
		roles []site.NetworkRole
	}{
		{"network_interface", []site.NetworkRole{site.NetManagement, site.NetProvision}},
		{"api_interface", []site.NetworkRole{site.NetManagement, site.NetProvision}},
		{"tunnel_interface", []site.NetworkRole{site.NetTenant}},
		{"storage_interface", []site.NetworkRole{site.NetStorage}},
		{"migration_interface", []site.NetworkRole{site.NetMigration}},
		{"neutron_external_interface", []site.NetworkRole{site.NetExternal}},
	}
}

// interfaces gives each node the variables that follow from its network.
func (k *kollaWriter) interfaces() map[string]map[string]string {
	out := map[string]map[string]string{}
	var unwired, unnamed []string
	for _, n := range k.site.Nodes {
		vars := map[string]string{}
		if n.Intent.Network == nil {
			unwired = append(unwired, n.Name)
		}
		for _, v := range interfaceVars() {
			device, err := k.deviceFor(n, v.roles)
			if err != nil {
				unnamed = append(unnamed, n.Name)
			} else if device != "" {
				vars[v.name] = device
			}
		}
		if device := k.externalVIPDevice(n); device != "" {
			vars["kolla_external_vip_interface"] = device
		}
		if n.archIs("aarch64") {
			vars["openstack_tag_suffix"] = "-aarch64"
		}
		out[n.Name] = vars
	}
	if len(unwired) > 0 {
		k.warn.add("%s: their roles map no networks to devices, so no interface variables: add networks to the role", abbreviate(unwired))
	}
	if unnamed = slices.Compact(unnamed); len(unnamed) > 0 {
		k.warn.add("%s: a network is on a port whose name under the installed system is not known: put it into a bond (of one port, if need be), or give the port a name", abbreviate(unnamed))
	}
	k.warnOfDifferentArch(out)
	return out
}

func (n Node) archIs(arch string) bool {
	return cmp.Or(n.Intent.Hardware.Arch, n.System.Arch) == arch
}

// warnOfDifferentArch: a suffix that only some hosts have must not look as if
// all shared it.
func (k *kollaWriter) warnOfDifferentArch(vars map[string]map[string]string) {
	var arm int
	for _, v := range vars {
		if v["openstack_tag_suffix"] != "" {
			arm++
		}
	}
	if arm == 0 || arm == len(vars) {
		return
	}
	for _, v := range vars {
		if v["openstack_tag_suffix"] == "" {
			v["openstack_tag_suffix"] = `""`
		}
	}
	k.warn.add("%d of %d hosts are aarch64: their containers have the tag suffix -aarch64, set host by host", arm, len(vars))
}

// deviceFor names what carries the networks of the first role that the node
// has; several external networks may be on several devices.
func (k *kollaWriter) deviceFor(n Node, roles []site.NetworkRole) (string, error) {
	if n.Intent.Network == nil {
		return "", nil
	}
	for _, role := range roles {
		var devices []string
		for _, i := range n.Intent.Network.Interfaces {
			if !slices.ContainsFunc(i.Networks, func(network string) bool { return slices.Contains(k.site.Settings.RolesOf(network), role) }) {
				continue
			}
			device, err := systemName(i)
			if err != nil {
				return "", err
			}
			devices = append(devices, device)
		}
		if len(devices) > 0 && role != site.NetExternal {
			return devices[0], nil
		}
		if len(devices) > 0 {
			return strings.Join(devices, ","), nil
		}
	}
	return "", nil
}

// systemName is what the installed system calls the interface. Bonds and
// VLANs are named by the plan; a port only if the plan says so.
func systemName(i profile.Interface) (string, error) {
	if i.Kind != profile.Ethernet {
		return i.Name, nil
	}
	if i.NIC.Name == "" {
		return "", fmt.Errorf("port %s has no system name", i.Name)
	}
	return i.NIC.Name, nil
}

// externalVIPDevice is the interface on whose network the external VIP is.
func (k *kollaWriter) externalVIPDevice(n Node) string {
	vip := k.site.Settings.OpenStack.ExternalVIP
	if n.Intent.Network == nil || !vip.IsValid() {
		return ""
	}
	for _, i := range n.Intent.Network.Interfaces {
		if i.Address.IsValid() && i.Address.Contains(vip) {
			if name, err := systemName(i); err == nil {
				return name
			}
		}
	}
	return ""
}

// globals writes the fragment of globals.yml.
func (k *kollaWriter) globals() (string, error) {
	o := k.site.Settings.OpenStack
	doc := yaml.MapSlice{}
	put := func(key string, value any) { doc = append(doc, yaml.MapItem{Key: key, Value: value}) }
	if o.Release != "" {
		put("openstack_release", o.Release)
	}
	if d := k.baseDistro(); d != "" {
		put("kolla_base_distro", d)
	}
	put("kolla_container_engine", "docker")
	k.putVIPs(put)
	for _, v := range sortedKeys(k.everywhere) {
		put(v, k.everywhere[v])
	}
	if o.Registry != "" {
		put("docker_registry", o.Registry)
		put("docker_registry_insecure", true)
	}
	text, err := toYAML(doc)
	if err != nil {
		return "", err
	}
	notes := []string{"Variables that differ between hosts are in the inventory and must not be repeated here, because what stands here wins."}
	if o.Registry != "" {
		notes = append(notes, "docker_registry_insecure: the registry speaks plain HTTP; set it to false if yours has a certificate.")
	}
	return k.site.heading("globals.yml of kolla-ansible", notes...) + k.warn.comment() + text, nil
}

func (k *kollaWriter) putVIPs(put func(string, any)) {
	o := k.site.Settings.OpenStack
	if o.InternalVIP.IsValid() {
		put("kolla_internal_vip_address", o.InternalVIP.String())
	} else {
		k.warn.add("openstack.internal_vip is not in the plan: kolla-ansible needs an unused address on the management network")
	}
	if o.ExternalVIP.IsValid() {
		put("kolla_external_vip_address", o.ExternalVIP.String())
	}
	if o.VirtualRouterID > 0 {
		put("keepalived_virtual_router_id", strconv.Itoa(o.VirtualRouterID))
	} else {
		k.warn.add("openstack.virtual_router_id is not in the plan: the default, 51, must not be used by anybody else on the management network")
	}
}

// overrides are merged by kolla-ansible into the services' own files.
func (k *kollaWriter) overrides() []File {
	out := k.novaOverrides()
	mtu, external := k.networkMTU(site.NetTenant), k.networkMTU(site.NetExternal)
	if mtu <= ethernetMTU {
		return out
	}
	ml2 := fmt.Sprintf("[ml2]\npath_mtu = %d\n", mtu)
	if external > 0 && external != mtu {
		ml2 += fmt.Sprintf("physical_network_mtus = physnet1:%d\n", external)
	}
	note := "The tenant network carries frames of this size; neutron takes the overhead of the tunnel off for guests."
	return append(out,
		File{Name: "config/neutron.conf", Text: k.site.heading("neutron.conf override", note) + fmt.Sprintf("[DEFAULT]\nglobal_physnet_mtu = %d\n", max(mtu, external))},
		File{Name: "config/neutron/ml2_conf.ini", Text: k.site.heading("ml2_conf.ini override", note) + ml2})
}

// ethernetMTU is what a network has that says nothing, in bytes.
const ethernetMTU = 1500

// networkMTU is the smallest MTU of the networks of a role; zero if there is
// none.
func (k *kollaWriter) networkMTU(role site.NetworkRole) int {
	least := 0
	for _, name := range k.site.networksFor(role) {
		if mtu := cmp.Or(k.site.Settings.Networks[name].MTU, ethernetMTU); least == 0 || mtu < least {
			least = mtu
		}
	}
	return least
}

// novaOptions are the options of nova-compute that the hardware decides.
func novaOptions() []struct{ key, section, option string } {
	return []struct{ key, section, option string }{
		{"reserved_host_memory_mb", "DEFAULT", "reserved_host_memory_mb"},
		{"cpu_allocation_ratio", "DEFAULT", "cpu_allocation_ratio"},
		{"ram_allocation_ratio", "DEFAULT", "ram_allocation_ratio"},
		{"cpu_dedicated_set", "compute", "cpu_dedicated_set"},
		{"cpu_shared_set", "compute", "cpu_shared_set"},
	}
}

// novaOverrides writes what most compute nodes share into one file, and a
// file for each that differs.
func (k *kollaWriter) novaOverrides() []File {
	texts := map[string]string{}
	count := map[string]int{}
	for _, n := range k.members["compute"] {
		if text := novaConf(n); text != "" {
			texts[n.Name] = text
			count[text]++
		}
	}
	if len(count) == 0 {
		return nil
	}
	common := slices.MaxFunc(slices.Sorted(maps.Keys(count)), func(a, b string) int { return cmp.Compare(count[a], count[b]) })
	head := k.site.heading("nova.conf override", "Memory and CPUs that the node's tuning keeps from guests: nova must count the same.")
	out := []File{{Name: "config/nova/nova-compute.conf", Text: head + common}}
	for _, name := range sortedKeys(texts) {
		if texts[name] != common {
			out = append(out, File{Name: "config/nova/" + name + "/nova.conf", Text: head + texts[name]})
		}
	}
	return out
}

func novaConf(n Node) string {
	var b strings.Builder
	section := ""
	for _, o := range novaOptions() {
		value := derived(n, o.key)
		if value == "" {
			continue
		}
		if section != o.section {
			section = o.section
			fmt.Fprintf(&b, "[%s]\n", section)
		}
		fmt.Fprintf(&b, "%s = %s\n", o.option, oneLine(value))
	}
	return b.String()
}
