package answer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// concept is what a package is called by family. An empty name says that a
// family has no such package.
type concept struct{ rpm, deb string }

// same is a package with one name everywhere.
func same(name string) concept { return concept{name, name} }

// concepts are the packages that a profile may ask for.
func concepts() map[string]concept {
	known := map[string]concept{
		"cpupower":         {"kernel-tools", "linux-cpupower"},
		"ceph":             same("ceph-common"),
		"cpu-partitioning": {"tuned-profiles-cpu-partitioning", "tuned"},
		"iscsi":            {"iscsi-initiator-utils", "open-iscsi"},
		"kdump":            {"kexec-tools", "kdump-tools"},
		"multipath":        {"device-mapper-multipath", "multipath-tools"},
		"nfs":              {"nfs-utils", "nfs-common"},
		"network-manager":  {"NetworkManager", "network-manager"},
		"ifenslave":        {"", "ifenslave"},
		"vlan":             {"", "vlan"},
		"policycoreutils":  {"policycoreutils-python-utils", ""},
		"selinux":          {"python3-libselinux", ""},
		"openvswitch":      {"openvswitch", "openvswitch-switch"},
		"nvme":             same("nvme-cli"),
		"container-engine": same("podman"),
	}
	for _, name := range strings.Fields(`bash-completion bridge-utils ceph-common chrony conntrack-tools curl dmidecode efibootmgr ethtool fio
		haproxy iperf3 ipmitool iproute ipset iptables irqbalance jq keepalived ksmtuned lldpd lsof lvm2 mdadm memcached nftables numactl
		numad nvme-cli openssh-server parted pciutils podman python3 rdma-core rsync smartmontools socat sudo sysstat tar tcpdump tmux
		tuned unzip wget`) {
		known[name] = same(name)
	}
	known["iproute"] = concept{"iproute", "iproute2"}
	known["conntrack-tools"] = concept{"conntrack-tools", "conntrack"}
	known["numad"] = concept{"numad", ""}
	return known
}

// packagesOf are those of the profile, and the one that its tuned profile
// comes in where that is not tuned's own.
func packagesOf(t *Target) ([]string, error) {
	wanted := t.Intent.Packages
	if t.Image.Family == "rhel" && strings.HasPrefix(t.Intent.Tuned.Value, "cpu-partitioning") {
		wanted = append(slices.Clone(wanted), "cpu-partitioning")
	}
	return packageNames(t.Image, wanted)
}

// packageNames translates concepts into the names that packages have on the
// system of an image.
func packageNames(image site.Image, wanted []string) ([]string, error) {
	known := concepts()
	var names []string
	for _, c := range wanted {
		of, ok := known[c]
		if !ok {
			return nil, fmt.Errorf("packages: %q is not a package that Rackseed knows by concept: it knows %s", c, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		name := of.rpm
		if image.Family == "debian" || image.Family == "ubuntu" {
			name = of.deb
		}
		if name == "" {
			return nil, fmt.Errorf("packages: %s has no package for %s: leave it out of the profile for this image", image.Distro, c)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}
