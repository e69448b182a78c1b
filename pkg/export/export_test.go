package export_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/export"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// settings are a site with every kind of network.
func settings() *site.Settings {
	network := func(subnet string, mtu int, roles ...site.NetworkRole) site.Network {
		return site.Network{Subnet: netip.MustParsePrefix(subnet), MTU: mtu, Roles: roles}
	}
	return &site.Settings{
		Site: "lab", Domain: "lab.example.net", Provision: site.Provision{Network: "provision"},
		Networks: map[string]site.Network{
			"provision": network("10.20.0.0/24", 0), "management": network("10.22.0.0/24", 0), "storage": network("10.23.0.0/24", 9000),
			"data": network("10.24.0.0/24", 9000, site.NetTenant, site.NetMigration), "business": network("10.26.0.0/24", 0),
			"storage-cluster": network("10.25.0.0/24", 9000), "floating": network("10.27.0.0/24", 0, site.NetExternal),
		},
		OpenStack: site.OpenStack{
			Deployer: "kolla", Release: "2025.1", InternalVIP: netip.MustParseAddr("10.22.0.250"), ExternalVIP: netip.MustParseAddr("10.26.0.250"),
			VirtualRouterID: 61, Registry: "10.22.0.5:4000",
		},
	}
}

// machine is a node of a profile. Its devices are NETWORK=INTERFACE; its
// address on each network ends in number.
func machine(name, profileName string, number byte, devices ...string) export.Node {
	n := &site.Node{Name: name, Role: profileName, Rack: "A" + string('0'+number%3), Addresses: map[string]netip.Addr{"provision": netip.AddrFrom4([4]byte{10, 20, 0, number})}}
	i := &profile.Intent{Node: name, Role: profileName, Profile: profileName, Chain: []string{"base", profileName}, Hardware: site.Hardware{Arch: "x86_64"}}
	third := map[string]byte{"management": 22, "storage": 23, "data": 24, "storage-cluster": 25, "business": 26}
	for _, d := range devices {
		network, device, _ := strings.Cut(d, "=")
		iface := profile.Interface{Name: device, Kind: profile.VLAN, Networks: []string{network}, MTU: 1500}
		if t, ok := third[network]; ok {
			n.Addresses[network] = netip.AddrFrom4([4]byte{10, t, 0, number})
			iface.Address = netip.PrefixFrom(n.Addresses[network], 24)
		}
		if i.Network == nil {
			i.Network = &profile.Network{}
		}
		i.Network.Interfaces = append(i.Network.Interfaces, iface)
	}
	return export.Node{Node: n, Intent: i, System: site.System{Distro: "rocky", Version: "9.6", Arch: "x86_64"}}
}

func write(t *testing.T, kind string, nodes ...export.Node) (map[string]string, string) {
	t.Helper()
	e, err := export.Write(kind, &export.Site{Settings: settings(), Nodes: nodes})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range e.Files {
		files[f.Name] = f.Text
		for _, w := range e.Warnings {
			if strings.HasPrefix(f.Name, "config/") || f.Name == "ceph.conf" {
				continue
			}
			if !strings.Contains(f.Text, "# WARNING: "+w+"\n") {
				t.Errorf("%s does not say %q", f.Name, w)
			}
		}
	}
	return files, strings.Join(e.Warnings, "\n")
}

// section gives the lines of a group of an inventory.
func section(text, group string) []string {
	_, rest, ok := strings.Cut(text, "\n["+group+"]\n")
	if !ok {
		return nil
	}
	body, _, _ := strings.Cut(rest, "\n[")
	var lines []string
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func full(name string, number byte) export.Node {
	return machine(name, "controller", number, "management=bond0.122", "business=bond0.126", "storage=bond1.123", "data=bond1.124", "floating=bond2")
}

func TestKollaDedicatedHosts(t *testing.T) {
	files, warned := write(t, "kolla", full("ctl-1", 11), full("ctl-2", 12), full("ctl-3", 13),
		machine("db-1", "database", 31, "management=bond0.122"), machine("db-2", "database", 32, "management=bond0.122"),
		machine("mq-1", "message-queue", 41, "management=bond0.122"), machine("mon-1", "monitoring", 51, "management=bond0.122"),
		machine("hci-1", "storage-hyperconverged", 61, "management=bond0.122", "storage=bond1.123", "data=bond1.124"))
	if warned != "" {
		t.Errorf("warned:\n%s", warned)
	}
	inventory := files["multinode"]
	for group, want := range map[string][]string{
		"control":            {"ctl-1 ansible_host=10.22.0.11", "ctl-2 ansible_host=10.22.0.12", "ctl-3 ansible_host=10.22.0.13"},
		"network:children":   {"control"},
		"compute":            {"hci-1 ansible_host=10.22.0.61"},
		"storage:children":   {"compute"},
		"monitoring":         {"mon-1 ansible_host=10.22.0.51"},
		"mariadb":            {"db-1 ansible_host=10.22.0.31", "db-2 ansible_host=10.22.0.32"},
		"rabbitmq":           {"mq-1 ansible_host=10.22.0.41"},
		"baremetal:children": {"control", "network", "compute", "storage", "monitoring", "mariadb", "rabbitmq"},
		"common:children":    {"baremetal"},
		"baremetal:vars":     {"ansible_user=root"},
		"mariadb:children":   nil,
	} {
		same(t, group, section(inventory, group), want...)
	}
	for _, want := range []string{
		"openstack_release: \"2025.1\"\n", "kolla_base_distro: rocky\n", "kolla_container_engine: docker\n",
		"kolla_internal_vip_address: 10.22.0.250\n", "kolla_external_vip_address: 10.26.0.250\n", "keepalived_virtual_router_id: \"61\"\n",
		"network_interface: bond0.122\n", "api_interface: bond0.122\n", "tunnel_interface: bond1.124\n", "migration_interface: bond1.124\n",
		"storage_interface: bond1.123\n", "neutron_external_interface: bond2\n", "kolla_external_vip_interface: bond0.126\n",
		"docker_registry: 10.22.0.5:4000\n", "docker_registry_insecure: true\n",
	} {
		if !strings.Contains(files["globals.yml"], want) {
			t.Errorf("globals.yml lacks %q:\n%s", want, files["globals.yml"])
		}
	}
	if strings.Contains(files["globals.yml"], "tag_suffix") {
		t.Errorf("globals.yml has a tag suffix on x86_64")
	}
	if got := files["config/neutron/ml2_conf.ini"]; !strings.HasSuffix(got, "[ml2]\npath_mtu = 9000\nphysical_network_mtus = physnet1:1500\n") {
		t.Errorf("ml2_conf.ini:\n%s", got)
	}
}

// What differs between groups stands with the group, and what differs inside
// one with the host; globals.yml, which wins over both, has neither.
func TestKollaInterfacesThatDiffer(t *testing.T) {
	files, _ := write(t, "kolla", full("ctl-1", 11), full("ctl-2", 12),
		machine("cmp-1", "compute", 61, "management=bond9.122", "data=bond1.124"), machine("cmp-2", "compute", 62, "management=bond9.122", "data=bond3.124"))
	inventory := files["multinode"]
	same(t, "control:vars", section(inventory, "control:vars"), "api_interface=bond0.122", "migration_interface=bond1.124", "network_interface=bond0.122", "tunnel_interface=bond1.124")
	same(t, "compute:vars", section(inventory, "compute:vars"), "api_interface=bond9.122", "network_interface=bond9.122")
	same(t, "compute", section(inventory, "compute"),
		"cmp-1 ansible_host=10.22.0.61 migration_interface=bond1.124 tunnel_interface=bond1.124",
		"cmp-2 ansible_host=10.22.0.62 migration_interface=bond3.124 tunnel_interface=bond3.124")
	for _, v := range []string{"network_interface", "tunnel_interface"} {
		if strings.Contains(files["globals.yml"], v+":") {
			t.Errorf("globals.yml has %s", v)
		}
	}
	same(t, "mariadb:children", section(inventory, "mariadb:children"), "control")
}

func TestKollaWarnings(t *testing.T) {
	unwired := machine("cmp-1", "compute", 61)
	port := machine("cmp-2", "compute", 62, "management=nic1")
	port.Intent.Network.Interfaces[0].Kind = profile.Ethernet
	old := machine("cmp-3", "compute", 63, "management=bond0.122")
	old.System = site.System{Distro: "kylin", Version: "10"}
	arm := machine("cmp-4", "compute", 64, "management=bond0.122")
	arm.Intent.Hardware.Arch = "aarch64"
	files, warned := write(t, "kolla", full("ctl-1", 11), unwired, port, old, arm)
	for _, want := range []string{
		"cmp-1: their roles map no networks to devices", "cmp-2: a network is on a port whose name",
		"kolla-ansible 2025.1 refuses hosts with kylin 10 (cmp-3); it accepts centos 9, centos 10, rocky 9",
		"1 of 5 hosts are aarch64",
	} {
		if !strings.Contains(warned, want) {
			t.Errorf("no warning %q in:\n%s", want, warned)
		}
	}
	if got := section(files["multinode"], "compute"); len(got) != 4 || !strings.Contains(got[3], "openstack_tag_suffix=-aarch64") || !strings.Contains(got[0], `openstack_tag_suffix=""`) {
		t.Errorf("compute: %q", got)
	}
	_, err := export.Write("kolla", &export.Site{Settings: settings(), Nodes: []export.Node{machine("db-1", "database", 31)}})
	if err == nil || !strings.Contains(err.Error(), "profile controller") {
		t.Errorf("a site without controllers: %v", err)
	}
}

func TestKollaNova(t *testing.T) {
	var nodes []export.Node
	for i, reserved := range []string{"30720", "30720", "61440"} {
		n := machine([]string{"c1", "c2", "c3"}[i], "compute", byte(61+i), "management=bond0.122")
		n.Intent.Derived = []profile.Setting{{Key: "cpu_shared_set", Value: "8-31"}, {Key: "reserved_host_memory_mb", Value: reserved}}
		nodes = append(nodes, n)
	}
	files, _ := write(t, "kolla", append(nodes, full("ctl-1", 11))...)
	if got := files["config/nova/nova-compute.conf"]; !strings.HasSuffix(got, "\n[DEFAULT]\nreserved_host_memory_mb = 30720\n[compute]\ncpu_shared_set = 8-31\n") {
		t.Errorf("nova-compute.conf:\n%s", got)
	}
	if got := files["config/nova/c3/nova.conf"]; !strings.Contains(got, "reserved_host_memory_mb = 61440\n") {
		t.Errorf("nova.conf of c3:\n%s", got)
	}
	if _, extra := files["config/nova/c1/nova.conf"]; extra {
		t.Error("c1 has what it shares with c2 twice")
	}
}

func TestCephadm(t *testing.T) {
	flash := false
	disks := site.Disks{
		OSD:   []site.DiskSelector{{Model: "ST8000NM000A", MinSize: 7e12, MaxSize: 8_000_000_000_001, Count: 8}},
		OSDDB: []site.DiskSelector{{Rotational: &flash, MinSize: 1_500_000_000}},
	}
	var nodes []export.Node
	for i := range byte(4) {
		n := machine("osd-"+string('1'+i), "storage", 71+i, "management=bond0.122", "storage=bond1.123")
		n.Intent.Disks = disks
		nodes = append(nodes, n)
	}
	odd := machine("osd-9", "storage", 79, "management=bond0.122", "storage=bond1.123")
	odd.Intent.Disks.OSD = []site.DiskSelector{{WWN: "0x5000c500a1b2c3d4"}, {WWN: "eui.0025388b71b0a1c3"}, {ByPath: "pci-0000:3b:00.0-nvme-1"}, {Serial: "ZA1"}}
	files, warned := write(t, "cephadm", append(nodes, odd, full("ctl-1", 11), full("ctl-2", 12), full("ctl-3", 13), full("ctl-4", 14))...)
	if want := "osd-9: Ceph does not choose a disk by its serial number, so disk ZA1 was left out"; !strings.Contains(warned, want) {
		t.Errorf("no warning %q in:\n%s", want, warned)
	}
	cluster := files["cluster.yaml"]
	for _, want := range []string{
		"hostname: ctl-3\naddr: 10.22.0.13\nlocation:\n  rack: A1\nlabels:\n  - _admin\n  - mon\n  - mgr\n",
		"hostname: osd-1\naddr: 10.22.0.71\nlocation:\n  rack: A2\nlabels:\n  - osd\n",
		"  hosts:\n    - osd-1\n    - osd-2\n    - osd-3\n    - osd-4\nspec:\n  data_devices:\n    model: ST8000NM000A\n    size: 7TB:8000001MB\n  db_devices:\n    size: \"1500MB:\"\n    rotational: 0\n",
		"  hosts:\n    - osd-9\nspec:\n  data_devices:\n    paths:\n      - /dev/disk/by-id/wwn-0x5000c500a1b2c3d4\n      - /dev/disk/by-id/nvme-eui.0025388b71b0a1c3\n      - /dev/disk/by-path/pci-0000:3b:00.0-nvme-1\n",
		"cephadm bootstrap --mon-ip 10.23.0.11",
	} {
		if !strings.Contains(cluster, want) {
			t.Errorf("cluster.yaml lacks:\n%s\nin:\n%s", want, cluster)
		}
	}
	if strings.Contains(cluster, "hostname: ctl-4") {
		t.Error("four controllers make four monitors")
	}
	if want := "[global]\npublic_network = 10.23.0.0/24\ncluster_network = 10.25.0.0/24\n"; !strings.Contains(files["ceph.conf"], want) {
		t.Errorf("ceph.conf:\n%s", files["ceph.conf"])
	}
	if _, err := export.Write("cephadm", &export.Site{Settings: settings(), Nodes: []export.Node{full("ctl-1", 11)}}); err == nil || !strings.Contains(err.Error(), "disks.osd") {
		t.Errorf("a site without OSDs: %v", err)
	}
}

// Without controllers on the storage network, monitors stand in different
// racks.
func TestMonitorsSpreadOverRacks(t *testing.T) {
	var nodes []export.Node
	for i := range byte(6) {
		n := machine("osd-"+string('1'+i), "storage", 71+i, "storage=bond1.123")
		n.Rack = "A0" + string('1'+i/2)
		n.Intent.Disks.OSD = []site.DiskSelector{{Model: "X"}}
		nodes = append(nodes, n)
	}
	files, _ := write(t, "cephadm", nodes[0], nodes[1], nodes[2], nodes[3], nodes[4])
	for _, name := range []string{"osd-1", "osd-3", "osd-5"} {
		_, host, _ := strings.Cut(files["cluster.yaml"], "hostname: "+name+"\n")
		host, _, _ = strings.Cut(host, "---")
		if !strings.Contains(host, "- mon\n") {
			t.Errorf("%s is no monitor", name)
		}
	}
}

func TestAnsibleGroupNames(t *testing.T) {
	odd := machine("n1", "message-queue", 1)
	odd.Role, odd.Rack = "all", "3-B"
	files, warned := write(t, "ansible", odd)
	for _, want := range []string{"    group_all:\n      hosts:\n        n1: null\n", "    rack_3_B:\n", "    profile_message_queue:\n", "ansible_host: 10.20.0.1\n"} {
		if !strings.Contains(files["inventory.yml"], want) {
			t.Errorf("no %q in:\n%s", want, files["inventory.yml"])
		}
	}
	if warned != "" {
		t.Errorf("warned: %s", warned)
	}
}

func TestUnknownKind(t *testing.T) {
	if _, err := export.Write("terraform", &export.Site{Settings: settings()}); err == nil || !strings.Contains(err.Error(), "kolla, cephadm, hosts, ansible") {
		t.Errorf("%v", err)
	}
}
