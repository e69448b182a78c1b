package site

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var goodKey = "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"+strings.Repeat("k", 32))) + " wei@laptop"

// goodPlan has two nodes and nothing to find.
func goodPlan() *Plan {
	ip := netip.MustParseAddr
	return &Plan{
		Settings: Settings{
			Site: "lab", Domain: "lab.example.net", Locale: Locale{"Asia/Shanghai", "zh_CN.UTF-8", "us"},
			Access:    Access{Root: RootLocked, SSHKeys: []string{goodKey}},
			Provision: Provision{Network: "provision", DHCP: DHCPServer, Pool: Range{ip("10.0.0.100"), ip("10.0.0.120")}, LeaseTime: time.Hour, LocalBoot: LocalExit},
			Networks: map[string]Network{
				"provision": {Subnet: netip.MustParsePrefix("10.0.0.0/24"), Gateway: ip("10.0.0.1"), DNS: []netip.Addr{ip("10.0.0.2")}, NTP: []netip.Addr{ip("10.0.0.2")}},
				"storage":   {Subnet: netip.MustParsePrefix("10.0.1.0/24"), VLAN: 123, MTU: 9000},
				"ipmi":      {Subnet: netip.MustParsePrefix("10.0.2.0/24")},
			},
			Images: map[string]Medium{"rocky9.6": {File: "Rocky-9.6-x86_64-dvd.iso", SHA256: strings.Repeat("a1", 32)}},
			BMC:    BMC{Protocol: "redfish", Username: "admin", Password: SecretRef{Env: "BMC_PASSWORD"}},
			Roles: map[string]Role{"compute": {
				Profile: "compute", Image: "rocky9.6", Networks: map[string]string{"storage": "bond1"}, Bonds: map[string]Bond{"bond1": {NICs: []string{"p1", "p2"}}},
				NICs: map[string]NIC{"p1": {Path: "0000:3b:00.0"}, "p2": {Path: "0000:5e:00.0"}},
			}},
		},
		Nodes: []Node{
			{Name: "n1", Role: "compute", Rack: "A01", U: 1, MACs: []MAC{{2, 0, 0, 0, 0, 1}}, Serial: "S0001", UUID: UUID{1}, BMC: BMC{Address: "10.0.2.11"}, Place: "nodes[0]",
				Addresses: map[string]netip.Addr{"provision": ip("10.0.0.11"), "storage": ip("10.0.1.11")}, Disks: Disks{System: []DiskSelector{{WWN: "0x5000c500a1b2c3d4"}}}},
			{Name: "n2", Role: "compute", Rack: "A01", U: 2, MACs: []MAC{{2, 0, 0, 0, 0, 2}}, Serial: "S0002", UUID: UUID{2}, BMC: BMC{Address: "10.0.2.12"}, Place: "nodes[1]",
				Addresses: map[string]netip.Addr{"provision": ip("10.0.0.12"), "storage": ip("10.0.1.12")}, Disks: Disks{System: []DiskSelector{{Model: "MZ7L3", MinSize: 1, MaxSize: 2}}}},
		},
	}
}

func TestGoodPlanHasNoFindings(t *testing.T) {
	for _, f := range goodPlan().Check() {
		t.Errorf("%+v", f)
	}
}

func TestCheck(t *testing.T) {
	ip := netip.MustParseAddr
	network := func(p *Plan, name string, edit func(*Network)) {
		n := p.Networks[name]
		edit(&n)
		p.Networks[name] = n
	}
	role := func(p *Plan, edit func(*Role)) {
		r := p.Roles["compute"]
		edit(&r)
		p.Roles["compute"] = r
	}
	disk := func(d DiskSelector) func(*Plan) {
		return func(p *Plan) { p.Nodes[0].Disks.System = []DiskSelector{d} }
	}
	image := func(m Medium) func(*Plan) {
		return func(p *Plan) { p.Images["rocky9.6"] = m }
	}
	bmc := func(b BMC) func(*Plan) { return func(p *Plan) { p.Nodes[0].BMC = b } }
	name := func(n string) func(*Plan) { return func(p *Plan) { p.Nodes[0].Name = n } }
	pool := func(first, last string) func(*Plan) {
		return func(p *Plan) { p.Provision.Pool = Range{ip(first), ip(last)} }
	}
	address := func(network, a string) func(*Plan) {
		return func(p *Plan) { p.Nodes[0].Addresses[network] = ip(a) }
	}
	key := func(k string) func(*Plan) { return func(p *Plan) { p.Access.SSHKeys = []string{k} } }

	for _, c := range []struct {
		id, path string
		severity Severity
		edit     func(*Plan)
	}{
		{"site-name-missing", "site", SeverityWarning, func(p *Plan) { p.Site = "" }},
		{"site-name-malformed", "site", SeverityError, func(p *Plan) { p.Site = "a\x1b[2J" }},
		{"domain-malformed", "domain", SeverityError, func(p *Plan) { p.Domain = "Lab_1.example" }},
		{"timezone-unknown", "locale.timezone", SeverityWarning, func(p *Plan) { p.Locale.Timezone = "Beijing" }},
		{"timezone-unknown", "locale.timezone", SeverityWarning, func(p *Plan) { p.Locale.Timezone = "Asia/Beijing" }},
		{"locale-malformed", "locale.timezone", SeverityError, func(p *Plan) { p.Locale.Timezone = "Asia/Shanghai\n%pre" }},
		{"locale-malformed", "locale.language", SeverityError, func(p *Plan) { p.Locale.Language = "zh CN" }},
		{"locale-malformed", "locale.keyboard", SeverityError, func(p *Plan) { p.Locale.Keyboard = "us;" }},
		{"root-not-hashed", "access.root", SeverityError, func(p *Plan) { p.Access.Root = "hunter2" }},
		{"no-login", "access", SeverityWarning, func(p *Plan) { p.Access.SSHKeys = nil }},
		{"ssh-key-unparsable", "access.ssh_keys[0]", SeverityWarning, key("ssh-ed25519 AAAA… ops")},
		{"ssh-key-unparsable", "access.ssh_keys[0]", SeverityWarning, key(goodKey[:40])},
		{"ssh-key-unparsable", "access.ssh_keys[0]", SeverityWarning, key(strings.Replace(goodKey, "ssh-ed25519 ", "ssh-rsa ", 1))},
		{"ssh-key-unparsable", "access.ssh_keys[0]", SeverityWarning, key("ssh-ed25519")},
		{"ssh-key-malformed", "access.ssh_keys[0]", SeverityError, key(goodKey + "\n%post")},

		{"network-name-malformed", "networks.st orage", SeverityError, func(p *Plan) { p.Networks["st orage"] = Network{Subnet: netip.MustParsePrefix("10.9.0.0/24")} }},
		{"subnet-missing", "networks.ipmi", SeverityError, func(p *Plan) { p.Networks["ipmi"] = Network{} }},
		{"subnet-host-bits", "networks.ipmi.subnet", SeverityError, func(p *Plan) { p.Networks["ipmi"] = Network{Subnet: netip.MustParsePrefix("10.0.2.5/24")} }},
		{"gateway-outside-subnet", "networks.provision.gateway", SeverityError, func(p *Plan) { network(p, "provision", func(n *Network) { n.Gateway = ip("10.9.0.1") }) }},
		{"gateway-is-network", "networks.provision.gateway", SeverityError, func(p *Plan) { network(p, "provision", func(n *Network) { n.Gateway = ip("10.0.0.0") }) }},
		{"gateway-is-broadcast", "networks.provision.gateway", SeverityError, func(p *Plan) { network(p, "provision", func(n *Network) { n.Gateway = ip("10.0.0.255") }) }},
		{"vlan-out-of-range", "networks.storage.vlan", SeverityError, func(p *Plan) { network(p, "storage", func(n *Network) { n.VLAN = 4095 }) }},
		{"vlan-duplicate", "networks.storage.vlan", SeverityError, func(p *Plan) { network(p, "ipmi", func(n *Network) { n.VLAN = 123 }) }},
		{"mtu-out-of-range", "networks.storage.mtu", SeverityError, func(p *Plan) { network(p, "storage", func(n *Network) { n.MTU = 90000 }) }},
		{"mtu-order", "networks.storage.mtu", SeverityError, func(p *Plan) {
			network(p, "provision", func(n *Network) { n.MTU = 1500 })
			role(p, func(r *Role) { r.Networks = map[string]string{"storage": "bond1", "provision": "bond1"} })
		}},
		{"dns-missing", "networks.provision.dns", SeverityWarning, func(p *Plan) { network(p, "provision", func(n *Network) { n.DNS = nil }) }},
		{"ntp-missing", "networks.provision.ntp", SeverityWarning, func(p *Plan) { network(p, "provision", func(n *Network) { n.NTP = nil }) }},
		{"subnets-overlap", "networks.ipmi.subnet", SeverityWarning, func(p *Plan) {
			network(p, "ipmi", func(n *Network) { n.Subnet = netip.MustParsePrefix("10.0.0.192/26") })
			p.Nodes[0].BMC.Address, p.Nodes[1].BMC.Address = "", ""
		}},
		{"subnets-overlap", "networks.storage.subnet", SeverityError, func(p *Plan) {
			network(p, "storage", func(n *Network) { n.Subnet = netip.MustParsePrefix("10.0.0.0/25") })
			for i := range p.Nodes {
				p.Nodes[i].Addresses["storage"] = ip(fmt.Sprint("10.0.0.", 50+i))
			}
		}},

		{"dhcp-mode-missing", "provision", SeverityWarning, func(p *Plan) { p.Provision.DHCP = "" }},
		{"dhcp-mode-unknown", "provision.dhcp", SeverityError, func(p *Plan) { p.Provision.DHCP = "on" }},
		{"local-boot-unknown", "provision.local_boot", SeverityError, func(p *Plan) { p.Provision.LocalBoot = "disk" }},
		{"lease-time-out-of-range", "provision.lease_time", SeverityError, func(p *Plan) { p.Provision.LeaseTime = -1 }},
		{"lease-time-out-of-range", "provision.lease_time", SeverityError, func(p *Plan) { p.Provision.LeaseTime = 1 << 62 }},
		{"lease-time-short", "provision.lease_time", SeverityWarning, func(p *Plan) { p.Provision.LeaseTime = time.Minute }},
		{"provision-network-missing", "provision", SeverityError, func(p *Plan) { p.Provision = Provision{DHCP: DHCPProxy} }},
		{"provision-network-unknown", "provision.network", SeverityError, func(p *Plan) { p.Provision = Provision{DHCP: DHCPProxy, Network: "pxe"} }},
		{"provision-not-ipv4", "networks.v6.subnet", SeverityError, func(p *Plan) {
			p.Networks["v6"] = Network{Subnet: netip.MustParsePrefix("fd00::/64")}
			p.Provision = Provision{DHCP: DHCPProxy, Network: "v6"}
		}},
		{"pool-malformed", "provision.pool", SeverityError, pool("10.0.0.120", "10.0.0.100")},
		{"pool-malformed", "provision.pool", SeverityError, pool("fd00::1", "fd00::2")},
		{"pool-malformed", "provision.pool", SeverityError, func(p *Plan) { p.Provision.Pool.First = netip.Addr{} }},
		{"pool-outside-subnet", "provision.pool", SeverityError, pool("10.9.0.100", "10.9.0.120")},
		{"pool-holds-network", "provision.pool", SeverityError, func(p *Plan) {
			pool("10.0.0.0", "10.0.0.0")(p)
		}},
		{"pool-holds-broadcast", "provision.pool", SeverityError, pool("10.0.0.200", "10.0.0.255")},
		{"pool-holds-address", "provision.pool", SeverityError, pool("10.0.0.1", "10.0.0.1")},
		{"pool-holds-address", "provision.pool", SeverityError, pool("10.0.0.2", "10.0.0.9")},
		{"pool-unused", "provision.pool", SeverityWarning, func(p *Plan) { p.Provision.DHCP = DHCPProxy }},
		{"pool-too-small", "provision.pool", SeverityWarning, func(p *Plan) {
			pool("10.0.0.100", "10.0.0.100")(p)
			delete(p.Nodes[0].Addresses, "provision")
			delete(p.Nodes[1].Addresses, "provision")
		}},
		{"address-in-pool", "nodes[0].addresses.provision", SeverityError, address("provision", "10.0.0.110")},
		{"address-in-pool", "nodes[0].bmc.address", SeverityError, bmc(BMC{Address: "10.0.0.110"})},

		{"image-name-malformed", "images.a b", SeverityError, func(p *Plan) { p.Images["a b"] = Medium{File: "x"} }},
		{"image-file-missing", "images.rocky9.6", SeverityError, image(Medium{})},
		{"image-file-malformed", "images.rocky9.6.file", SeverityError, image(Medium{File: "a\nb"})},
		{"image-sha256-malformed", "images.rocky9.6.sha256", SeverityError, image(Medium{File: "x", SHA256: "…"})},

		{"role-name-malformed", "roles.Compute", SeverityError, func(p *Plan) { p.Roles["Compute"] = p.Roles["compute"]; p.Nodes[0].Role = "Compute" }},
		{"role-without-profile", "roles.compute", SeverityError, func(p *Plan) { role(p, func(r *Role) { r.Profile = "" }) }},
		{"role-without-nodes", "roles.spare", SeverityWarning, func(p *Plan) { p.Roles["spare"] = p.Roles["compute"] }},
		{"image-unknown", "roles.compute.image", SeverityError, func(p *Plan) { role(p, func(r *Role) { r.Image = "rocky8" }) }},
		{"role-network-unknown", "roles.compute.networks.tenant", SeverityError, func(p *Plan) { p.Roles["compute"].Networks["tenant"] = "bond0" }},
		{"interface-name-malformed", "roles.compute.networks.storage", SeverityError, func(p *Plan) { p.Roles["compute"].Networks["storage"] = "a-name-too-long-0" }},
		{"interface-name-malformed", "roles.compute.networks.storage", SeverityError, func(p *Plan) { p.Roles["compute"].Networks["storage"] = "bond/0" }},

		{"no-nodes", "nodes", SeverityWarning, func(p *Plan) { p.Nodes, p.Roles = nil, nil }},
		{"hostname-missing", "nodes[0]", SeverityError, name("")},
		{"hostname-reserved", "nodes[0].name", SeverityError, name("all")},
		{"hostname-malformed", "nodes[0].name", SeverityError, name("cs_db_01")},
		{"hostname-malformed", "nodes[0].name", SeverityError, name("CS-01")},
		{"hostname-malformed", "nodes[0].name", SeverityError, name("cs.lab")},
		{"hostname-malformed", "nodes[0].name", SeverityError, name("-cs")},
		{"hostname-too-long", "nodes[0].name", SeverityError, name(strings.Repeat("a", 64))},
		{"fqdn-too-long", "nodes[0].name", SeverityError, name(strings.Repeat("a", 50))},
		{"hostname-duplicate", "nodes[1].name", SeverityError, func(p *Plan) { p.Nodes[1].Name = "n1" }},
		{"role-missing", "nodes[0]", SeverityError, func(p *Plan) { p.Nodes[0].Role = "" }},
		{"role-unknown", "nodes[0].role", SeverityError, func(p *Plan) { p.Nodes[0].Role = "storage" }},
		{"image-unknown", "nodes[0].image", SeverityError, func(p *Plan) { p.Nodes[0].Image = "rocky8" }},
		{"node-without-image", "roles.compute", SeverityWarning, func(p *Plan) { role(p, func(r *Role) { r.Image = "" }); p.Nodes[1].Image = "rocky9.6" }},
		{"node-without-identity", "nodes[0]", SeverityWarning, func(p *Plan) { p.Nodes[0].MACs, p.Nodes[0].Serial, p.Nodes[0].UUID = nil, "", UUID{} }},
		{"mac-duplicate", "nodes[1].mac", SeverityError, func(p *Plan) { p.Nodes[1].MACs = p.Nodes[0].MACs }},
		{"mac-duplicate", "nodes[0].mac", SeverityError, func(p *Plan) { p.Nodes[0].MACs = append(p.Nodes[0].MACs, p.Nodes[0].MACs[0]) }},
		{"serial-duplicate", "nodes[1].serial", SeverityError, func(p *Plan) { p.Nodes[1].Serial = "s0001 " }},
		{"serial-junk", "nodes[0].serial", SeverityError, func(p *Plan) { p.Nodes[0].Serial = "To be filled by O.E.M." }},
		{"serial-rounded", "nodes[0].serial", SeverityError, func(p *Plan) { p.Nodes[0].Serial = "2.10235E+19" }},
		{"serial-malformed", "nodes[0].serial", SeverityError, func(p *Plan) { p.Nodes[0].Serial = "a\x00" }},
		{"uuid-duplicate", "nodes[1].uuid", SeverityError, func(p *Plan) { p.Nodes[1].UUID = UUID{1} }},
		{"uuid-junk", "nodes[0].uuid", SeverityError, func(p *Plan) {
			for i := range p.Nodes[0].UUID {
				p.Nodes[0].UUID[i] = 0xff
			}
		}},
		{"rack-malformed", "nodes[0].rack", SeverityError, func(p *Plan) { p.Nodes[0].Rack = "A\n" }},
		{"rack-unit-out-of-range", "nodes[0].u", SeverityError, func(p *Plan) { p.Nodes[0].U = 61 }},
		{"rack-unit-taken", "nodes[1].u", SeverityWarning, func(p *Plan) { p.Nodes[1].U = 1 }},
		{"local-boot-unknown", "nodes[0].local_boot", SeverityError, func(p *Plan) { p.Nodes[0].LocalBoot = "x" }},
		{"address-network-unknown", "nodes[0].addresses.tenant", SeverityError, address("tenant", "10.0.0.13")},
		{"address-outside-subnet", "nodes[0].addresses.storage", SeverityError, address("storage", "10.0.3.1")},
		{"address-is-network", "nodes[0].addresses.storage", SeverityError, address("storage", "10.0.1.0")},
		{"address-is-broadcast", "nodes[0].addresses.storage", SeverityError, address("storage", "10.0.1.255")},
		{"address-duplicate", "nodes[1].addresses.storage", SeverityError, address("storage", "10.0.1.12")},
		{"address-duplicate", "nodes[0].addresses.provision", SeverityError, address("provision", "10.0.0.1")},
		{"address-duplicate", "nodes[1].bmc.address", SeverityError, bmc(BMC{Address: "10.0.2.12"})},
		{"address-is-server", "nodes[0].addresses.provision", SeverityWarning, address("provision", "10.0.0.2")},
		{"address-missing", "nodes[0]", SeverityWarning, func(p *Plan) { delete(p.Nodes[0].Addresses, "provision"); p.Provision.Pool = Range{} }},
		{"bmc-protocol-unknown", "nodes[0].bmc.protocol", SeverityError, bmc(BMC{Protocol: "ssh"})},
		{"bmc-protocol-unknown", "bmc.protocol", SeverityError, func(p *Plan) { p.BMC.Protocol = "ssh" }},
		{"bmc-address-malformed", "nodes[0].bmc.address", SeverityError, bmc(BMC{Address: "10.0.2.300"})},
		{"bmc-address-malformed", "nodes[0].bmc.address", SeverityError, bmc(BMC{Address: "ftp://10.0.2.11"})},
		{"bmc-address-malformed", "nodes[0].bmc.address", SeverityError, bmc(BMC{Address: "https://admin:pw@10.0.2.11"})},
		{"bmc-address-malformed", "nodes[0].bmc.address", SeverityError, bmc(BMC{Address: "a b"})},
		{"bmc-address-duplicate", "nodes[1].bmc.address", SeverityError, func(p *Plan) {
			p.Nodes[0].BMC.Address, p.Nodes[1].BMC.Address = "https://127.0.0.1:8443", "https://127.0.0.1:8443"
		}},
		{"secret-ambiguous", "bmc.password", SeverityError, func(p *Plan) { p.BMC.Password = SecretRef{Env: "A", File: "b"} }},
		{"secret-not-sealed", "nodes[0].bmc.password", SeverityError, bmc(BMC{Password: SecretRef{Sealed: "hunter2"}})},
		{"disk-selector-empty", "nodes[0].disks.system[0]", SeverityError, disk(DiskSelector{})},
		{"disk-kernel-name", "nodes[0].disks.system[0]", SeverityError, disk(DiskSelector{ByPath: "/dev/sda"})},
		{"disk-kernel-name", "nodes[0].disks.system[0]", SeverityError, disk(DiskSelector{Serial: "nvme0n1"})},
		{"disk-selector-malformed", "nodes[0].disks.system[0]", SeverityError, disk(DiskSelector{ByPath: "../../etc/passwd"})},
		{"disk-selector-malformed", "nodes[0].disks.system[0]", SeverityError, disk(DiskSelector{WWN: "$(reboot)"})},
		{"disk-selector-malformed", "nodes[0].disks.system[0]", SeverityError, disk(DiskSelector{Model: "a\nb"})},
		{"disk-size-order", "nodes[0].disks.system[0]", SeverityError, disk(DiskSelector{MinSize: 2, MaxSize: 1})},
		{"disk-wwn-duplicate", "nodes[1].disks.system[0]", SeverityWarning, func(p *Plan) { p.Nodes[1].Disks.System = []DiskSelector{{WWN: "0x5000C500A1B2C3D4"}} }},
	} {
		t.Run(c.id+" "+c.path, func(t *testing.T) {
			p := goodPlan()
			c.edit(p)
			found := p.Check()
			i := slices.IndexFunc(found, func(f Finding) bool { return f.ID == c.id && f.Path == c.path })
			if i < 0 {
				t.Fatalf("not found; found %+v", found)
			}
			if f := found[i]; f.Severity != c.severity || f.Message == "" || f.Fix == "" {
				t.Errorf("%+v", f)
			}
			for _, f := range found {
				if strings.Contains(f.Message+f.Fix, "hunter2") {
					t.Errorf("%+v tells a secret", f)
				}
			}
			if HasErrors(found) != slices.ContainsFunc(found, func(f Finding) bool { return f.Severity == SeverityError }) {
				t.Error("HasErrors is wrong")
			}
			p = goodPlan()
			c.edit(p)
			if again := p.Check(); !reflect.DeepEqual(found, again) {
				t.Errorf("a second look found something else: %s", cmp.Diff(found, again))
			}
		})
	}
}

func TestOneMistakeOfARangeIsOneFinding(t *testing.T) {
	p := goodPlan()
	for i := range 512 {
		p.Nodes = append(p.Nodes, Node{Name: fmt.Sprintf("cs-%04d", i), Role: "none", Serial: fmt.Sprint("X", i), Place: "nodes[2]",
			Addresses: map[string]netip.Addr{"provision": netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)})}})
	}
	var got []string
	for _, f := range p.Check() {
		got = append(got, f.ID+": "+f.Message)
	}
	want := []string{
		`role-unknown: cs-0000 has role "none", which is not under roles (and 511 more like it)`,
		"address-outside-subnet: 10.9.0.0 of cs-0000 is outside 10.0.0.0/24 of network provision (and 511 more like it)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyPlanIsChecked(t *testing.T) {
	if found := new(Plan).Check(); len(found) == 0 {
		t.Error("nothing was found")
	}
	odd := Plan{Settings: Settings{Networks: map[string]Network{"": {}}, Images: map[string]Medium{"": {}}, Roles: map[string]Role{"": {}}}, Nodes: make([]Node, 3)}
	if found := odd.Check(); !HasErrors(found) {
		t.Errorf("%+v", found)
	}
}

func TestFindingJSON(t *testing.T) {
	data, err := json.Marshal(Finding{ID: "i", Severity: SeverityError, Path: "p", Message: "m", Fix: "f"})
	if want := `{"id":"i","severity":"error","path":"p","message":"m","fix":"f"}`; err != nil || string(data) != want {
		t.Errorf("%s, %v", data, err)
	}
}

func TestJunkSerials(t *testing.T) {
	for _, s := range []string{"", " ", "To be filled by O.E.M.", "to  be filled by o.e.m", "Default string", "0123456789", "System Serial Number", "None", "N/A", "00000000", "XXXXXXXX", "........", "[Not Specified]", "-"} {
		if !JunkSerial(s) {
			t.Errorf("%q counts as a serial number", s)
		}
	}
	for _, s := range []string{"2102311TUF10K8000001", "06TNQ0001", "J7", "CN-0001", "0123", "AA1", "11"} {
		if JunkSerial(s) {
			t.Errorf("%q counts as junk", s)
		}
	}
}

func TestValidRoot(t *testing.T) {
	for s, want := range map[Secret]bool{
		"": true, RootLocked: true, "sealed:x": true,
		Secret("$6$saltsalt$" + strings.Repeat("a", 86)):             true,
		Secret("$6$rounds=5000$saltsalt$" + strings.Repeat("/", 86)): true,
		Secret("$5$saltsalt$" + strings.Repeat(".", 43)):             true,
		Secret("$y$j9T$saltsalt$" + strings.Repeat("A", 43)):         true,
		"hunter2": false, "Locked": false, "$6$x": false, "$1$salt$" + "aaaaaaaaaaaaaaaaaaaaaa": false,
		Secret("$6$saltsalt$" + strings.Repeat("a", 85)):                false,
		Secret("$6$saltsalt$" + strings.Repeat("a", 86) + "\nrootpw x"): false,
		Secret("$6$saltsalt$" + strings.Repeat("a", 86) + "\n"):         false,
	} {
		if got := ValidRoot(s); got != want {
			t.Errorf("%q: %t", s.Reveal(), got)
		}
	}
}

func bigPlan(n int) *Plan {
	p := goodPlan()
	p.Provision.Pool = Range{}
	wide := func(b byte) Network {
		return Network{Subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, b, 0, 0}), 16)}
	}
	provision := wide(20)
	provision.Gateway = netip.MustParseAddr("10.20.0.1")
	p.Networks = map[string]Network{"provision": provision, "storage": wide(21), "ipmi": wide(22)}
	p.Nodes = nil
	for i := range n {
		at := func(b byte) netip.Addr { return netip.AddrFrom4([4]byte{10, b, byte(1 + i>>8), byte(i)}) }
		p.Nodes = append(p.Nodes, Node{
			Name: fmt.Sprintf("cs-computer-%05d", i), Role: "compute", Rack: fmt.Sprint("A", i/20), U: i%20*2 + 1, MACs: []MAC{{2, 0, 0, 0, byte(i >> 8), byte(i)}},
			Serial: fmt.Sprintf("2102311TUF10K8%06d", i), UUID: UUID{1, byte(i >> 8), byte(i)}, Place: fmt.Sprintf("nodes[%d]", i),
			Addresses: map[string]netip.Addr{"provision": at(20), "storage": at(21)}, BMC: BMC{Address: at(22).String()},
			Disks: Disks{System: []DiskSelector{{WWN: fmt.Sprintf("0x5000c500%08x", i)}}}, Set: map[string]any{"n": float64(i)},
		})
	}
	return p
}

func TestBigPlanIsClean(t *testing.T) {
	for _, f := range bigPlan(16000).Check() {
		if f.Severity == SeverityError {
			t.Fatalf("%+v", f)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{526, 16000} {
		p := bigPlan(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				p.Check()
			}
		})
	}
}
