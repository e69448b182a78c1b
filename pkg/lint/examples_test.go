package lint_test

import (
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

func with(edit func(*site.Image)) []site.Image {
	i := rocky9()
	edit(&i)
	return []site.Image{i}
}

const (
	computeDisks = "memory: 384GiB\n      disks:\n        - {model: S480, size: 480GB, count: 2}"
	noDeployer   = "  deployer: kolla\n"
)

func examples() []example {
	return []example{
		{lint: 1, id: "address-outside-subnet", error: true, edits: []string{"provision: 10.20.0.21,", "provision: 10.20.9.21,"}, at: "10.20.9.21"},
		{lint: 2, id: "gateway-outside-subnet", error: true, edits: []string{"gateway: 10.22.0.1}", "gateway: 10.99.0.1}"}, at: "10.99.0.1"},
		{lint: 2, id: "address-duplicate", error: true, edits: []string{"management: 10.22.0.21,", "management: 10.22.0.1,"}, at: "10.22.0.1,"},
		{lint: 3, id: "address-is-broadcast", error: true, edits: []string{"provision: 10.20.0.21,", "provision: 10.20.0.255,"}, at: "10.20.0.255"},
		{lint: 3, id: "address-is-network", error: true, edits: []string{"storage: 10.24.0.21,", "storage: 10.24.0.0,"}, at: "10.24.0.0,"},
		{lint: 4, id: "address-duplicate", error: true, edits: []string{"management: 10.22.0.21,", "management: 10.22.0.10,"}, at: "10.22.0.10,"},
		{lint: 4, id: "address-duplicate", error: true, edits: []string{"{address: 10.21.0.21}", "{address: 10.21.0.12}"}, at: "10.21.0.12"},
		{lint: 4, id: "address-duplicate", error: true, edits: []string{"management: 10.22.0.21,", "management: 10.22.0.22,"}, at: "10.22.0.22, storage: 10.24.0.22"},
		{lint: 4, id: "address-is-server", edits: []string{"provision: 10.20.0.21,", "provision: 10.20.0.2,"}, at: "10.20.0.2, management"},
		{lint: 4, id: "address-duplicate", error: true, server: "10.20.0.21", at: "10.20.0.21,"},
		{lint: 9, id: "pool-holds-address", error: true, server: "10.20.0.150", at: "10.20.0.100-10.20.0.199"},
		{lint: 48, id: "server-outside-network", error: true, server: "192.168.7.7", edits: []string{"gateway: 10.20.0.1, ", ""}, at: "{subnet: 10.20.0.0/24"},
		{lint: 48, id: "dhcp-mode-served", served: site.DHCPProxy, at: "server"},
		{lint: 5, id: "mac-duplicate", error: true, edits: []string{"52:54:00:00:02:21", "5254-0000-0202"}, at: "[52:54:00:00:01:21"},
		{lint: 5, id: "mac-duplicate", error: true, edits: []string{"{address: 10.21.0.21}", "{address: 10.21.0.21, mac: 5254-0000-0202}"}, at: "5254-0000-0202"},
		{lint: 5, id: "mac-duplicate", error: true, edits: []string{"{address: 10.21.0.21}", "{address: 10.21.0.21, mac: 5254.0000.0221}"}, at: "5254.0000.0221"},
		{lint: 5, id: "mac-duplicate", error: true, edits: []string{"{address: 10.21.0.21}", "{address: 10.21.0.21, mac: 525400000999}", "{address: 10.21.0.22}", "{address: 10.21.0.22, mac: 52-54-00-00-09-99}"}, at: "52-54-00-00-09-99"},
		{lint: 6, id: "hostname-too-long", error: true, edits: []string{"cs-computer-0001", strings.Repeat("a", 64)}, at: strings.Repeat("a", 64)},
		{lint: 6, id: "hostname-malformed", error: true, edits: []string{"cs-computer-0001", "cs_computer_0001"}, at: "cs_computer_0001"},
		{lint: 6, id: "hostname-duplicate", error: true, edits: []string{"cs-computer-0001", "cs-controller-02"}, at: "cs-controller-02"},
		{lint: 7, id: "serial-junk", error: true, edits: []string{"2102314PMX10L800001", "To be filled by O.E.M."}, at: "To be filled"},
		{lint: 7, id: "serial-duplicate", error: true, edits: []string{"2102314PMX10L800001", "2102313CJD10K00002"}, at: "2102313CJD10K00002"},
		{lint: 7, id: "uuid-junk", error: true, edits: []string{"2102314PMX10L800001", "2102314PMX10L800001\n    uuid: ffffffff-ffff-ffff-ffff-ffffffffffff"}, at: "ffffffff-ffff"},
		{lint: 7, id: "uuid-duplicate", error: true, edits: []string{"2102314PMX10L800001", "2102314PMX10L800001\n    uuid: 4c4c4544-0042-3510-8052-b4c04f4a4d31",
			"2102314PMX10L800002", "2102314PMX10L800002\n    uuid: 4C4C4544-0042-3510-8052-B4C04F4A4D31"}, at: "4C4C4544"},
		{lint: 8, id: "address-in-pool", error: true, edits: []string{"provision: 10.20.0.21,", "provision: 10.20.0.150,"}, at: "10.20.0.150"},
		{lint: 9, id: "pool-outside-subnet", error: true, edits: []string{"10.20.0.100-10.20.0.199", "10.30.0.100-10.30.0.199"}, at: "10.30.0.100-"},
		{lint: 9, id: "pool-too-small", edits: []string{"10.20.0.100-10.20.0.199", "10.20.0.100-10.20.0.100", "provision: 10.20.0.31+, ", ""}, at: "10.20.0.100-"},
		{lint: 10, id: "vip-outside-subnet", error: true, edits: []string{"internal_vip: 10.22.0.10", "internal_vip: 10.29.0.10"}, at: "10.29.0.10"},
		{lint: 10, id: "vip-in-pool", error: true, at: "10.20.0.150", edits: []string{
			"{subnet: 10.20.0.0/24,", "{subnet: 10.20.0.0/24, roles: [provision, management],", "gateway: 10.22.0.1}", "gateway: 10.22.0.1, default_route: true}",
			"internal_vip: 10.22.0.10", "internal_vip: 10.20.0.150",
		}},
		{lint: 11, id: "default-route-ambiguous", error: true, at: "{management: nic1, storage: p1", edits: []string{
			"gateway: 10.22.0.1}", "gateway: 10.22.0.1, default_route: true}", "vlan: 125,", "vlan: 125, gateway: 10.25.0.1, default_route: true,",
		}},
		{lint: 11, id: "default-route-without-gateway", error: true, edits: []string{"vlan: 125,", "vlan: 125, default_route: true,"}, at: "true, mtu: 9000"},
		{lint: 12, id: "subnets-overlap", error: true, edits: []string{"10.25.0.0/24", "10.24.0.128/25", "storage-cluster: 10.25.0.31+", "storage-cluster: 10.24.0.131+"}, at: "10.24.0.128/25"},
		{lint: 12, id: "subnets-overlap", edits: []string{"images:\n", "  spare: {subnet: 10.25.0.128/25}\nimages:\n"}, at: "10.25.0.128/25"},
		{lint: 13, id: "bmc-in-data-network", error: true, edits: []string{"{address: 10.21.0.21}", "{address: 10.22.0.99}"}, at: "10.22.0.99"},
		{lint: 13, id: "host-in-bmc-network", error: true, edits: []string{"provision: 10.20.0.21,", "provision: 10.20.0.21, ipmi: 10.21.0.99,"}, at: "10.21.0.99"},
		{lint: 14, id: "bond-member-unknown", error: true, edits: []string{"{nics: [nic1, nic2]}", "{nics: [nic1, nic3]}"}, at: "nic3"},
		{lint: 15, id: "bond-single-member", edits: []string{"{nics: [nic1, nic2]}", "{nics: [nic1]}"}, at: "[nic1]"},
		{lint: 16, id: "nic-in-two-bonds", error: true, edits: []string{"[p1, p2], mtu", "[p1, nic2], mtu"}, at: "nic2], mtu"},
		{lint: 16, id: "nic-in-bond-and-alone", error: true, edits: []string{"storage: bond1, tenant: bond1", "storage: bond1, tenant: p1"}, at: "p1, p2], mtu"},
		{lint: 17, id: "lacp-without-fallback", error: true, edits: []string{", fallback: huawei", ""}, at: "{nics: [nic1, nic2], mode"},
		{lint: 18, id: "bond-members-differ", edits: []string{`"0000:5e:00.0", speed: 25000`, `"0000:5e:00.0", speed: 10000`}, at: "[p1, p2], mtu"},
		{lint: 18, id: "bond-on-one-card", edits: []string{`"0000:5e:00.0", speed`, `"0000:3b:00.1", speed`}, at: "[p1, p2], mtu"},
		{lint: 19, id: "vlan-out-of-range", error: true, edits: []string{"vlan: 125,", "vlan: 4095,"}, at: "4095"},
		{lint: 19, id: "vlan-duplicate", error: true, edits: []string{"vlan: 125,", "vlan: 124, "}, at: "124,  mtu"},
		{lint: 20, id: "vlan-native-tagged", error: true, edits: []string{"{subnet: 10.20.0.0/24,", "{subnet: 10.20.0.0/24, vlan: 122,"}, at: "122, gateway: 10.20"},
		{lint: 21, id: "mtu-order", error: true, edits: []string{"[p1, p2], mtu: 9000", "[p1, p2], mtu: 1500"}, at: "1500"},
		{lint: 22, id: "mtu-differs", edits: []string{", vlan: 125, mtu: 9000", "", "storage: bond1, tenant: bond1", "storage: bond1, tenant: bond1, storage-cluster: bond1"}, at: "p2}\n    nics"},
		{lint: 23, id: "tenant-mtu-low", edits: []string{"vlan: 123, mtu: 9000", "vlan: 123"}, at: "{subnet: 10.23"},
		{lint: 24, id: "interface-name-reserved", error: true, edits: []string{`      p2: {path: "0000:5e:00.0", speed: 25000}`, `      p2: {path: "0000:5e:00.0"}` + "\n" + `      eth7: {path: "0000:61:00.0"}`}, at: `{path: "0000:61`},
		{lint: 24, id: "interface-name-malformed", error: true, edits: []string{`      p2: {path: "0000:5e:00.0", speed: 25000}`, `      p2: {path: "0000:5e:00.0"}` + "\n" + `      port/seven: {path: "0000:61:00.0"}`}, at: `{path: "0000:61`},
		{lint: 24, id: "interface-name-malformed", error: true, edits: []string{"storage: bond1, tenant: bond1", "storage: bond-storage1, tenant: bond-storage1", "      bond1: {nics", "      bond-storage1: {nics"}, at: "bond-storage1, tenant"},
		{lint: 25, id: "device-unknown", error: true, edits: []string{"storage: bond1, tenant: bond1", "storage: bond1, tenant: bond7"}, at: "bond7"},
		{lint: 26, id: "disk-count-mismatch", error: true, edits: []string{"rotational: true, count: 12}]", "rotational: true, count: 11}]"}, at: "{model: H8000, rotational: true, count: 11"},
		{lint: 27, id: "raid-too-few-disks", error: true, edits: []string{"[{model: S480, count: 2}]}", `[{wwn: "0x5"}, {wwn: "0X5"}]}`}, at: `{wwn: "0X5"}`},
		{lint: 27, id: "raid-too-many-disks", error: true, edits: []string{"[{model: S480, count: 2}]}", "[{model: S480, count: 3}]}", computeDisks, strings.Replace(computeDisks, "count: 2", "count: 3", 1)}, at: "[{model: S480, count: 3}]}"},
		{lint: 28, id: "raid-members-differ", edits: []string{computeDisks, "memory: 384GiB\n      disks:\n        - {model: S480, size: 480GB}\n        - {model: S480, size: 960GB}"}, at: "[{model: S480, count: 2}]}"},
		{lint: 28, id: "raid-members-differ", edits: []string{computeDisks, "memory: 384GiB\n      disks:\n        - {model: S480, size: 480GB}\n        - {model: S480, size: 480GB, rotational: true}"}, at: "[{model: S480, count: 2}]}"},
		{lint: 29, id: "profile-unresolved", error: true, edits: []string{"profile: compute", "profile: own"}, at: "profile: own", profile: "layout: {volumes: [{name: srv, mount: /srv, size: 1GiB, grow: true}]}\n"},
		{lint: 29, id: "layout-exceeds-disk", error: true, edits: []string{computeDisks, strings.Replace(computeDisks, "480GB", "48GB", 1)}, at: "profile: compute"},
		{lint: 30, id: "boot-mode-unknown", error: true, edits: []string{"boot: uefi", "boot: efi"}, at: "efi\n"},
		{lint: 31, id: "disk-kernel-name", error: true, edits: []string{"[{model: S480, count: 2}]}", "[{by_path: /dev/sda}]}"}, at: "{by_path"},
		{lint: 32, id: "disk-in-two-groups", error: true, edits: []string{"osd: [{model: H8000, rotational: true, count: 12}]", "osd: [{max_size: 500GB, count: 2}]"}, at: "{max_size"},
		{lint: 32, id: "zap-without-serial", error: true, edits: []string{"osd_db: [{model: N1600, count: 2}]", "osd_db: [{model: N1600, count: 2}]\n      osd_policy: zap"}, at: "zap"},
		{lint: 33, id: "osd-disks-missing", error: true, at: "profile: storage\n", edits: []string{
			"      osd: [{model: H8000, rotational: true, count: 12}]\n", "", "      osd_db: [{model: N1600, count: 2}]\n", "",
		}},
		{lint: 33, id: "osd-hosts-few", also: "fewer-nodes-than-recommended", at: "[{model: H8000, rotational: true, count: 12}]", edits: []string{"cs-storage-[01-03]", "cs-storage-[01-02]", "B[01-03]", "B[01-02]", ", 52:54:00:00:01:33]", "]"}},
		{lint: 34, id: "osd-db-crowded", at: "[{model: NVMe16, count: 1}]", edits: []string{"[{model: N1600, count: 2}]", "[{model: NVMe16, count: 1}]", "{model: N1600, size: 1600GB, count: 2}", "{model: NVMe16, size: 1600GB, count: 1}",
			"rotational: true, count: 12}]", "rotational: true, count: 16}]", "size: 8TB, rotational: true, count: 12", "size: 8TB, rotational: true, count: 16"}},
		{lint: 34, id: "osd-db-crowded", edits: []string{"osd_db: [{model: N1600, count: 2}]", "osd_db: [{model: N1600, count: 1}]", "size: 1600GB, count: 2", "size: 1600GB, count: 1"}, at: "[{model: N1600, count: 1}]"},
		{lint: 35, id: "derive-hugepages_1g", error: true, edits: []string{"hugepages_1g: 200", "hugepages_1g: 400"}, at: "400"},
		{lint: 35, id: "hugepages-exceed-memory", error: true, edits: []string{"hugepages_1g: 200", "hugepages_1g: 380", "Rocky-9.6-x86_64-dvd.iso", "openEuler-22.03-LTS-x86_64-dvd.iso"}, at: "380"},
		{lint: 36, id: "derive-isolated_cpus", error: true, edits: []string{"{hugepages_1g: 200}", `{isolate_cpus: true, isolated_cpus: "0-63"}`}, at: `"0-63"`},
		{lint: 36, id: "derive-isolated_cpus", error: true, edits: []string{"{hugepages_1g: 200}", `{isolate_cpus: true, isolated_cpus: "0,32"}`}, at: `"0,32"`},
		{lint: 36, id: "derive-isolated_cpus", error: true, edits: []string{"{hugepages_1g: 200}", `{isolate_cpus: true, isolated_cpus: "2-15"}`}, at: `"2-15"`},
		{lint: 36, id: "derive-housekeeping_cores", error: true, edits: []string{"{hugepages_1g: 200}", `{isolate_cpus: true, housekeeping_cores: 16}`}, at: `16}`},
		{lint: 37, id: "derive-cpus_per_osd", error: true, edits: []string{"profile: storage\n", "profile: storage-hyperconverged\n    set: {cpus_per_osd: 4}\n", "{management: nic1,", "{management: nic1, tenant: p1,"}, at: "4}\n    image"},
		{lint: 37, id: "derive-osds", error: true, edits: []string{"profile: storage\n", "profile: storage-hyperconverged\n", "memory: 128GiB", "memory: 64GiB", "{management: nic1,", "{management: nic1, tenant: p1,"}, at: "profile: storage-hyperconverged"},
		{lint: 37, id: "cpu-ratio-high", edits: []string{"{hugepages_1g: 200}", "{cpu_allocation_ratio: 20}"}, at: "20}"},
		{lint: 38, id: "hugepages-unsupported", error: true, edits: []string{"[vmx, pdpe1gb]", "[vmx, pse]"}, at: "200}"},
		{lint: 39, id: "min-free-exceeds-memory", error: true, at: "32GiB", edits: []string{"profile: compute", "profile: own", "memory: 384GiB", "memory: 32GiB", "{hugepages_1g: 200}", "{ksm: true}"},
			profile: "sysctl: [{key: vm.min_free_kbytes, value: \"4194304\", why: copied, source: a guide}]\n"},
		{lint: 40, id: "hugepages-with-ksm", edits: []string{"{hugepages_1g: 200}", "{hugepages_1g: 200, ksm: true}"}, at: "true}"},
		{lint: 40, id: "hugepages-with-thp", edits: []string{"profile: compute", "profile: own"}, at: "{hugepages_1g: 200}", profile: "thp: [{value: always, why: copied, source: a guide}]\n"},
		{lint: 40, id: "isolation-with-overcommit", edits: []string{"{hugepages_1g: 200}", "{isolate_cpus: true, cpu_allocation_ratio: 4}"}, at: "4}\n    networks"},
		{lint: 41, id: "quorum-even", at: "profile: controller", edits: []string{"cs-controller-[01-03]", "cs-controller-[01-04]", "A[01-03]", "A[01-04]", "K00[001-003]", "K00[001-004]",
			"      - [52:54:00:00:01:03, 52:54:00:00:02:03]\n", "      - [52:54:00:00:01:03, 52:54:00:00:02:03]\n      - [52:54:00:00:01:04, 52:54:00:00:02:04]\n"}},
		{lint: 25, id: "role-network-missing", error: true, edits: []string{"storage: p1, storage-cluster: p2", "storage-cluster: p2", " storage: 10.24.0.31+,", ""}, at: "profile: storage\n"},
		{lint: 42, id: "dedicated-role-on-control", edits: []string{"  compute:\n    profile: compute", "  db:\n    profile: compute", "role: compute\n    rack: A01", "role: db\n    rack: A01", "role: compute\n    rack: A02", "role: db\n    rack: A02"}, at: "compute\n    image"},
		{lint: 43, id: "system-not-accepted", error: true, edits: []string{`"2024.1"`, `"2025.2"`}, at: "rocky9\n    networks: {management: bond0, storage: bond0"},
		{lint: 44, id: "cpu-level-too-low", error: true, edits: []string{"cpu_level: 3", "cpu_level: 1"}, at: "1\n      cpu_flags"},
		{lint: 44, id: "arch-differs", error: true, edits: []string{"arch: x86_64", "arch: aarch64"}, at: "aarch64"},
		{lint: 45, id: "installer-unknown", error: true, edits: []string{"Rocky-9.6", "Rocky-7.9", noDeployer, ""}, at: "{file: Rocky-7"},
		{lint: 45, id: "kernel-command-line-long", edits: []string{"profile: compute", "profile: own"}, at: "profile: own", profile: "kernel_arguments: [{arg: \"dyndbg=" + strings.Repeat("1,3,", 600) + "5\", why: a list, source: by hand}]\n"},
		{lint: 46, id: "image-without-stage2", error: true, library: with(func(i *site.Image) { i.Stage2 = "" }), at: "{file: Rocky"},
		{lint: 46, id: "image-without-packages", error: true, library: with(func(i *site.Image) { i.Repos = nil }), at: "{file: Rocky"},
		{lint: 46, id: "image-without-installer", error: true, library: with(func(i *site.Image) { i.Kernel = "" }), at: "{file: Rocky"},
		{lint: 46, id: "image-without-group", error: true, library: with(func(i *site.Image) { i.Groups = []string{"base", "minimal-environment"} }), at: "{file: Rocky"},
		{lint: 46, id: "image-differs", error: true, library: []site.Image{rocky9()}, edits: []string{"dvd.iso}", "dvd.iso, sha256: " + strings.Repeat("0", 64) + "}"}, at: strings.Repeat("0", 64)},
		{lint: 47, id: "memory-too-small", error: true, edits: []string{"memory: 384GiB", "memory: 3GiB", "{hugepages_1g: 200}", "{ksm: true}"}, at: "3GiB"},
		{lint: 47, id: "root-hash-too-new", edits: []string{"root: locked", "root: $y$j9T$saltsalt$" + strings.Repeat("A", 43), "Rocky-9.6", "Rocky-8.10", noDeployer, ""}, at: "$y$"},
		{lint: 48, id: "dns-missing", edits: []string{"dns: [10.20.0.2], ntp", "ntp"}, at: "{subnet: 10.20.0.0/24"},
		{lint: 48, id: "ntp-missing", edits: []string{", ntp: [10.20.0.2]", ""}, at: "{subnet: 10.20.0.0/24"},
		{lint: 48, id: "ssh-key-unparsable", edits: []string{"AGtph4kvI ops", " ops"}, at: "ssh-ed25519"},
		{lint: 48, id: "role-without-nodes", edits: []string{"nodes:\n", "  spare: {profile: base, image: rocky9}\nnodes:\n"}, at: "{profile: base"},
		{lint: 48, id: "url-is-loopback", error: true, edits: []string{"dvd.iso}", "dvd.iso, mirror: http://127.0.0.1/rocky9, mirror_key: file:///etc/pki/rpm-gpg/KEY}"}, at: "http://127"},
	}
}

// others are what the list did not have: the words that plans have learnt
// since, and mistakes of the field.
func others() []example {
	lacp := "mode: 802.3ad, fallback: huawei"
	option := func(o string) []string { return []string{lacp, lacp + ", options: {" + o + "}"} }
	route := func(r string) []string { return []string{"vlan: 125,", "vlan: 125, routes: [" + r + "],"} }
	repository := func(r string) []string {
		return []string{"openstack:\n", "repositories:\n  extra: " + r + "\nopenstack:\n"}
	}
	webhook := func(w string) []string {
		return []string{"openstack:\n", "webhooks: [" + w + "]\nopenstack:\n"}
	}
	p7 := func(nic string) []string {
		return []string{`      p2: {path: "0000:5e:00.0", speed: 25000}`, `      p2: {path: "0000:5e:00.0"}` + "\n      p7: " + nic}
	}
	const key = "key: http://10.22.0.5/key"
	return []example{
		{id: "network-role-unknown", error: true, edits: []string{"vlan: 125,", "vlan: 125, roles: [storage-clutser],"}, at: "storage-clutser"},
		{id: "route-malformed", error: true, edits: route("{to: 10.30.0.0/16}"), at: "{to: 10.30"},
		{id: "route-is-default", error: true, edits: route("{to: 0.0.0.0/0, via: 10.25.0.1}"), at: "0.0.0.0/0"},
		{id: "subnet-host-bits", error: true, edits: route("{to: 10.30.0.1/16, via: 10.25.0.1}"), at: "10.30.0.1/16"},
		{id: "route-via-outside-subnet", error: true, edits: route("{to: 10.30.0.0/16, via: 10.29.0.1}"), at: "10.29.0.1"},
		{id: "route-overlaps-subnet", edits: route("{to: 10.25.0.0/25, via: 10.25.0.1}"), at: "10.25.0.0/25"},
		{id: "default-route-missing", error: true, edits: []string{", gateway: 10.22.0.1", "", "gateway: 10.20.0.1, ", ""}, at: "{management: bond0, storage: bond0"},
		{id: "untagged-twice", error: true, at: "p1}\n    nics", edits: []string{", vlan: 125, mtu: 9000", "", ", vlan: 124, mtu: 9000", "", "storage: p1, storage-cluster: p2", "storage: p1, storage-cluster: p1",
			"tenant: bond0", "tenant: bond0", "storage: bond0, ", "", "storage: bond1, ", "", "storage: 10.24.0.11+, ", "", "storage: 10.24.0.21, ", "", "storage: 10.24.0.22, ", ""}},
		{id: "nic-without-identity", error: true, edits: p7("{speed: 1000}"), at: "{speed: 1000"},
		{id: "nic-path-malformed", error: true, edits: p7("{path: slot7}"), at: "slot7"},
		{id: "nic-speed-out-of-range", error: true, edits: p7(`{path: "0000:61:00.0", speed: 25000000}`), at: "25000000"},
		{id: "interface-name-reserved", error: true, edits: p7(`{name: eth7}`), at: "eth7"},
		{id: "bond-without-members", error: true, edits: []string{"bond0: {nics: [nic1, nic2]}", "bond0: {mode: balance-alb}"}, at: "{mode: balance-alb"},
		{id: "bond-member-twice", error: true, edits: []string{"bond0: {nics: [nic1, nic2]}", "bond0: {nics: [nic1, nic1]}"}, at: "nic1]}"},
		{id: "bond-unused", edits: []string{"storage: bond1, tenant: bond1", "storage: bond0, tenant: bond0"}, at: "{nics: [p1, p2]"},
		{id: "bond-mode-unknown", error: true, edits: []string{lacp, "mode: lacp, fallback: huawei"}, at: "lacp, fallback"},
		{id: "bond-option-unknown", error: true, edits: option("mimon: 100"), at: "100}"},
		{id: "bond-option-unknown", error: true, edits: option("mode: 802.3ad"), at: "802.3ad}"},
		{id: "bond-option-malformed", error: true, edits: option("miimon: 1 0"), at: "1 0}"},
		{id: "bond-option-malformed", error: true, edits: []string{"{nics: [nic1, nic2]}", "{nics: [nic1, nic2], options: {primary: nic9}}"}, at: "nic9"},
		{id: "bond-option-idle", error: true, edits: []string{"{nics: [nic1, nic2]}", "{nics: [nic1, nic2], options: {ad_select: stable}}"}, at: "stable"},
		{id: "interface-name-duplicate", error: true, at: "{nics: [p1, p2]", edits: []string{`      p2: {path: "0000:5e:00.0", speed: 25000}`, `      p2: {path: "0000:5e:00.0"}` + "\n" + `      bond1: {path: "0000:61:00.0"}`}},
		{id: "address-without-interface", edits: []string{"storage: bond1, tenant: bond1", "tenant: bond1"}, at: "10.24.0.21"},
		{id: "arch-unknown", error: true, edits: []string{"arch: x86_64", "arch: riscv64"}, at: "riscv64"},
		{id: "hardware-out-of-range", error: true, edits: []string{"cpu_level: 3", "cpu_level: 5"}, at: "5\n"},
		{id: "cpu-flag-malformed", error: true, edits: []string{"[vmx, pdpe1gb]", "[pdpe1gb, v-m-x]"}, at: "v-m-x"},
		{id: "numa-malformed", error: true, edits: []string{"boot: uefi", "boot: uefi\n      numa: [0-31, 31-63]"}, at: "31-63"},
		{id: "numa-malformed", error: true, edits: []string{"boot: uefi", "boot: uefi\n      numa: [0-15, 16-31]"}, at: "[0-15"},
		{id: "inventory-disk-malformed", error: true, edits: []string{"size: 8TB, rotational: true, count: 12", "size: 8TB, rotational: true, count: 999"}, at: "{model: H8000, size"},
		{id: "disk-count-out-of-range", error: true, edits: []string{"[{model: S480, count: 2}]}", `[{wwn: "0x5", count: 2}]}`}, at: `{wwn: "0x5"`},
		{id: "osd-policy-unknown", error: true, edits: []string{"osd_db: [{model: N1600, count: 2}]", "osd_db: [{model: N1600, count: 2}]\n      osd_policy: wipe"}, at: "wipe"},
		{id: "deployer-unknown", error: true, edits: []string{"deployer: kolla", "deployer: koala"}, at: "koala"},
		{id: "openstack-release-missing", edits: []string{"  release: \"2024.1\"\n", ""}, at: "deployer: kolla"},
		{id: "openstack-release-unknown", edits: []string{`"2024.1"`, "train"}, at: "train"},
		{id: "vip-missing", edits: []string{"  internal_vip: 10.22.0.10\n", ""}, at: "deployer: kolla"},
		{id: "vip-is-broadcast", error: true, edits: []string{"internal_vip: 10.22.0.10", "internal_vip: 10.22.0.255"}, at: "10.22.0.255"},
		{id: "vip-outside-subnet", error: true, edits: []string{"virtual_router_id: 51", "external_vip: 10.29.0.1"}, at: "10.29.0.1"},
		{id: "address-duplicate", error: true, edits: []string{"internal_vip: 10.22.0.10", "internal_vip: 10.22.0.1"}, at: "10.22.0.1\n"},
		{id: "virtual-router-id-out-of-range", error: true, edits: []string{"virtual_router_id: 51", "virtual_router_id: 256"}, at: "256"},
		{id: "registry-malformed", error: true, edits: []string{"virtual_router_id: 51", "registry: http://10.22.0.5"}, at: "http://10.22"},
		{id: "url-is-loopback", error: true, edits: []string{"virtual_router_id: 51", "registry: localhost:4000"}, at: "localhost"},
		{id: "repository-without-url", error: true, edits: repository("{" + key + "}"), at: "{" + key},
		{id: "repository-unsigned", edits: repository("{url: http://10.22.0.5/extra}"), at: "{url: http"},
		{id: "repository-unsigned", edits: []string{"dvd.iso}", "dvd.iso, mirror: http://10.22.0.5/rocky9}"}, at: "{file: Rocky"},
		{id: "url-malformed", error: true, edits: []string{"dvd.iso}", "dvd.iso, mirror: http://10.22.0.5/rocky9, mirror_key: file://key}"}, at: "file://key"},
		{id: "repository-suite-malformed", error: true, edits: repository("{url: http://10.22.0.5/extra, " + key + ", suite: trixie;x}"), at: "trixie;x"},
		{id: "webhook-url-malformed", error: true, edits: webhook("{url: hooks, secret: {env: A}}"), at: "hooks,"},
		{id: "webhook-url-password", error: true, edits: webhook("{url: 'https://wei:hunter2@hooks/', secret: {env: A}}"), at: "'https://wei"},
		{id: "webhook-not-encrypted", edits: webhook("{url: 'http://10.22.0.5/', secret: {env: A}}"), at: "'http://10.22.0.5/'"},
		{id: "webhook-secret-missing", error: true, edits: webhook("{url: 'https://hooks/'}"), at: "{url: 'https://hooks/'}"},
		{id: "webhook-event-unknown", error: true, edits: webhook("{url: 'https://hooks/', secret: {env: A}, events: [finish]}"), at: "[finish]"},
		{id: "webhook-twice", error: true, edits: webhook("{url: 'https://hooks/', secret: {env: A}}, {url: 'https://hooks/', secret: {env: B}}"), at: "'https://hooks/', secret: {env: B}"},
		{id: "image-unknown", error: true, edits: repository("{url: http://10.22.0.5/extra, " + key + ", images: [rocky8]}"), at: "rocky8"},
		{id: "url-malformed", error: true, edits: repository("{url: ftp://10.22.0.5/extra, " + key + "}"), at: "ftp://"},
		{id: "url-malformed", error: true, edits: []string{"dvd.iso}", "dvd.iso, mirror: http://wei:hunter2@10.22.0.5/, mirror_key: http://10.22.0.5/key}"}, at: "http://wei"},
		{id: "set-unknown", error: true, edits: []string{"hugepages_1g: 200", "hugepage_1g: 200"}, at: "200}"},
		{id: "profile-unusable", error: true, edits: []string{"profile: compute", "profile: computer"}, at: "computer\n"},
		{id: "quorum-too-small", error: true, edits: []string{"nodes:\n", "  database: {profile: database, image: rocky9, networks: {management: nic1}}\nnodes:\n  - {name: cs-db-01, role: database, mac: \"52:54:00:00:09:01\", addresses: {provision: 10.20.0.91, management: 10.22.0.91}}\n",
			"gateway: 10.20.0.1,", "gateway: 10.20.0.1, roles: [provision, management],", "10.22.0.1}", "10.22.0.1, default_route: true}"}, at: "{profile: database"},
	}
}
