package lint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// clause is one thing that the list of forty-eight lints asks for: what finds
// it, or the test that shows that it cannot come about.
type clause struct {
	lint int
	what string
	by   string // id of a finding, or TestName
}

func clauses() []clause {
	return []clause{
		{1, "IP outside its subnet", "address-outside-subnet"},
		{2, "gateway outside the subnet", "gateway-outside-subnet"},
		{2, "gateway equal to a host's IP", "address-duplicate"},
		{3, "host with the network address", "address-is-network"},
		{3, "host with the broadcast address", "address-is-broadcast"},
		{4, "duplicate IP: hosts, VIPs, gateways, BMCs, this server", "address-duplicate"},
		{4, "duplicate IP: DNS and NTP servers", "address-is-server"},
		{5, "duplicate MAC of hosts and BMCs in any notation", "mac-duplicate"},
		{6, "duplicate host name", "hostname-duplicate"},
		{6, "host name that is not RFC 1123", "hostname-malformed"},
		{6, "label of more than 63", "hostname-too-long"},
		{7, "duplicate serial number", "serial-duplicate"},
		{7, "duplicate UUID", "uuid-duplicate"},
		{7, "junk serial number", "serial-junk"},
		{7, "junk UUID", "uuid-junk"},
		{8, "static address in the DHCP range", "address-in-pool"},
		{9, "DHCP range outside its subnet", "pool-outside-subnet"},
		{9, "DHCP range smaller than the hosts", "pool-too-small"},
		{10, "VIP outside the management subnet", "vip-outside-subnet"},
		{10, "VIP in the DHCP range", "vip-in-pool"},
		{10, "VIP of a host", "address-duplicate"},
		{11, "no default route", "default-route-missing"},
		{11, "two default routes", "default-route-ambiguous"},
		{12, "networks that overlap", "subnets-overlap"},
		{13, "BMC in a data network", "bmc-in-data-network"},
		{13, "host in the BMC network", "host-in-bmc-network"},
		{14, "bond member that is no NIC of the host", "bond-member-unknown"},
		{15, "bond of one", "bond-single-member"},
		{16, "NIC in two bonds", "nic-in-two-bonds"},
		{16, "NIC in a bond and alone", "nic-in-bond-and-alone"},
		{17, "LACP over the NIC that boots, without fallback", "lacp-without-fallback"},
		{18, "members of different speed", "bond-members-differ"},
		{18, "members on one card", "bond-on-one-card"},
		{19, "VLAN id outside 1 to 4094", "vlan-out-of-range"},
		{19, "one id for two networks", "vlan-duplicate"},
		{20, "native VLAN also tagged", "vlan-native-tagged"},
		{21, "VLAN above its bond", "mtu-order"},
		{21, "bond above its members: they follow it", "TestNetworkHolds"},
		{22, "MTU that differs between hosts", "mtu-differs"},
		{23, "tunnel network too narrow for guests", "tenant-mtu-low"},
		{24, "interface name too long or malformed, of VLANs as well", "interface-name-malformed"},
		{24, "ethN", "interface-name-reserved"},
		{25, "network that a role needs on no interface", "role-network-missing"},
		{25, "network on a device that the host has not", "device-unknown"},
		{26, "selector that matches another number of disks", "disk-count-mismatch"},
		{27, "RAID1 of fewer than two", "raid-too-few-disks"},
		{27, "RAID10: a plan mirrors two disks and no more", "raid-too-many-disks"},
		{28, "members that differ in size or kind", "raid-members-differ"},
		{29, "layout larger than the disk", "layout-exceeds-disk"},
		{29, "two volumes that grow", "profile-unresolved"},
		{30, "UEFI without ESP, BIOS without biosboot: the script asks the firmware", "TestDiskLayoutFollowsFirmware"},
		{30, "boot mode unknown", "boot-mode-unknown"},
		{31, "selector by a kernel name as a key", "disk-kernel-name"},
		{31, "selector by a bare kernel name", "TestErrorsSayPlaceReasonAndFix"},
		{32, "disk for system and OSD", "disk-in-two-groups"},
		{32, "zap without serial numbers", "zap-without-serial"},
		{33, "OSD role without OSD disk", "osd-disks-missing"},
		{33, "fewer than three OSD hosts", "osd-hosts-few"},
		{34, "DB of too many OSDs on one SSD or NVMe", "osd-db-crowded"},
		{35, "huge pages and reserved memory above RAM", "derive-hugepages_1g"},
		{35, "with crashkernel above RAM", "hugepages-exceed-memory"},
		{36, "all CPUs, CPU 0, half a core isolated", "derive-isolated_cpus"},
		{36, "nothing left to isolate", "derive-housekeeping_cores"},
		{37, "HCI reserved above 80 %", "derive-osds"},
		{37, "CPU ratio below 0.5", "derive-cpus_per_osd"},
		{37, "CPU ratio above 16", "cpu-ratio-high"},
		{38, "1 GiB pages without pdpe1gb", "hugepages-unsupported"},
		{39, "min_free_kbytes on a small machine", "min-free-exceeds-memory"},
		{40, "huge pages with KSM", "hugepages-with-ksm"},
		{40, "huge pages with THP always", "hugepages-with-thp"},
		{40, "NFV with overcommit", "isolation-with-overcommit"},
		{41, "even quorum", "quorum-even"},
		{41, "quorum below three in an HA plan", "quorum-too-small"},
		{42, "dedicated hosts left to the controllers", "dedicated-role-on-control"},
		{43, "OS that the deployer does not accept", "system-not-accepted"},
		{44, "CPU level below the OS's", "cpu-level-too-low"},
		{44, "architecture other than the tree's", "arch-differs"},
		{45, "release whose dialect is not written", "installer-unknown"},
		{45, "command or option unknown in a dialect: each is read by its grammar", "TestKickstartOfEveryRole"},
		{45, "kernel command line of more than 2048 bytes", "kernel-command-line-long"},
		{46, "tree without kernel and initrd", "image-without-installer"},
		{46, "tree without stage2", "image-without-stage2"},
		{46, "tree without repodata", "image-without-packages"},
		{46, "tree without .treeinfo: recognised by its label, said at import", "TestRecognize"},
		{46, "group that is not in comps", "image-without-group"},
		{47, "RAM below the installer's", "memory-too-small"},
		{47, "secret in the clear", "TestNoErrorShowsAPassword"},
		{47, "hash that the OS does not know", "root-hash-too-new"},
		{48, "server at a loopback address", "url-is-loopback"},
		{48, "server outside the network without a route", "server-outside-network"},
		{48, "names and no name server", "dns-missing"},
		{48, "no time server", "ntp-missing"},
		{48, "SSH key that does not parse", "ssh-key-unparsable"},
		{48, "role without hosts", "role-without-nodes"},
		{48, "%include of what is not there: %pre writes it or stops", "TestKickstartOfEveryRole"},
	}
}

// TestEveryClauseIsShown: each clause has an example under its number, or a
// test that there is.
func TestEveryClauseIsShown(t *testing.T) {
	shown, tests, last := map[string]bool{}, testNames(t), 0
	for _, e := range append(examples(), others()...) {
		shown[e.id] = true
	}
	for _, c := range clauses() {
		if c.lint != last && c.lint != last+1 {
			t.Errorf("lint %d is not in the list", last+1)
		}
		last = c.lint
		if !shown[c.by] && !tests[c.by] {
			t.Errorf("lint %d, %s: nothing shows %s", c.lint, c.what, c.by)
		}
	}
	if last != 48 {
		t.Errorf("the list ends at %d", last)
	}
}

// testNames are the tests of the packages that a plan goes through.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, dir := range []string{"planfile", "site", "profile", "answer", "image"} {
		files, err := filepath.Glob("../" + dir + "/*_test.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if name, ok := strings.CutPrefix(line, "func "); ok && strings.HasPrefix(name, "Test") {
					name, _, _ = strings.Cut(name, "(")
					names[name] = true
				}
			}
		}
	}
	return names
}
