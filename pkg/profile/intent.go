package profile

import (
	"net/netip"

	"github.com/rackseed/rackseed/pkg/site"
)

// Intent is what one node must be. Everything in it is decided: a writer
// chooses words, never values.
type Intent struct {
	Node     string // host name
	Domain   string
	Role     string
	Profile  string
	Chain    []string // profiles from the base on, Profile last
	Locale   site.Locale
	Access   site.Access
	Hardware site.Hardware

	Address netip.Addr // reserved on the provisioning network; not valid if a pool gives one
	DNS     []netip.Addr
	NTP     []netip.Addr
	Hosts   []Host   // of the whole site, for /etc/hosts
	Network *Network // after the install; nil leaves what the installer set up

	Disks  site.Disks
	Layout Layout

	Concepts     []Value  // packages and services, each with the profile that asks for it
	Packages     []string // by concept
	Services     []string // by concept
	Repositories []Repository

	Sysctl     []Setting
	Limits     []Limit
	Journald   []Setting // of journald.conf, section Journal
	KernelArgs []KernelArg
	Modules    []Module
	Tuned      Choice // tuned profile
	THP        Choice // transparent huge pages: always, madvise, never
	KSM        Choice // on or off
	Firewall   Choice // on or off; on leaves the system's own, which lets SSH in
	SELinux    Choice // enforcing or permissive, where the system has it
	Schedulers []Scheduler
	Slices     []Slice
	Clock      Clock
	BIOS       []Setting // by concept: virtualization, iommu, sriov, hyperthreading, boot_mode, power_profile

	// Parameters are the values under set, each with where it came from.
	Parameters []Parameter
	// Derived is what was computed from the hardware: for people, for the
	// deployer that comes next, and for ${...} in a profile.
	Derived []Setting
}

// FQDN is the host name with its domain, if there is one.
func (i *Intent) FQDN() string {
	if i.Domain == "" {
		return i.Node
	}
	return i.Node + "." + i.Domain
}

// Reason says why a value is what it is. Source names the document that the
// figure comes from, From the profile, role or node that set it.
type Reason struct {
	Why    string `yaml:"why"`
	Source string `yaml:"source"`
	From   string `yaml:"-"`
}

// Setting is a key with its value: a kernel parameter, a line of a
// configuration file.
type Setting struct {
	Key    string `yaml:"key"`
	Value  string `yaml:"value"`
	When   string `yaml:"when"`
	Reason `yaml:",inline"`
}

// Limit is a PAM limit, soft and hard alike.
type Limit struct {
	Domain string `yaml:"domain"` // as in limits.conf(5)
	Item   string `yaml:"item"`
	Value  int    `yaml:"value"`
	When   string `yaml:"when"`
	Reason `yaml:",inline"`
}

// KernelArg is one argument on the kernel's command line: quiet or key=value.
type KernelArg struct {
	Arg    string `yaml:"arg"`
	When   string `yaml:"when"`
	Reason `yaml:",inline"`
}

// Module is a kernel module that is loaded at boot, or given options.
type Module struct {
	Name    string `yaml:"name"`
	Options string `yaml:"options"` // of modprobe.d
	Load    *bool  `yaml:"load"`    // nil means true
	When    string `yaml:"when"`
	Reason  `yaml:",inline"`
}

// Choice is one value out of few.
type Choice struct {
	Value  string `yaml:"value"`
	When   string `yaml:"when"`
	Reason `yaml:",inline"`
}

// Scheduler is how the kernel queues I/O of one kind of disk.
type Scheduler struct {
	Disks       string `yaml:"disks"` // nvme, ssd or hdd
	Scheduler   string `yaml:"scheduler"`
	ReadAheadKB int    `yaml:"read_ahead_kb"` // zero leaves it
	When        string `yaml:"when"`
	Reason      `yaml:",inline"`
}

// Slice keeps services apart: a systemd unit with the CPUs and the memory
// that it may use.
type Slice struct {
	Unit       string `yaml:"unit"`        // ceph-.service, machine.slice
	CPUs       string `yaml:"cpus"`        // CPU list, 0-3,32-35
	MemoryHigh string `yaml:"memory_high"` // as in systemd.resource-control(5)
	// Environment has NAME=VALUE of a service, in systemd.exec(5).
	Environment []string `yaml:"environment"`
	When        string   `yaml:"when"`
	Reason      `yaml:",inline"`
}

// Clock is how chrony keeps time.
type Clock struct {
	LocalStratum int    `yaml:"local_stratum"` // serve the node's own clock at this stratum when all servers are gone; zero does not
	When         string `yaml:"when"`
	Reason       `yaml:",inline"`
}

// Parameter is a value that a plan may set.
type Parameter struct {
	Name  string
	Value any
	Reason
}

// Host is a line of /etc/hosts.
type Host struct {
	Addr  netip.Addr
	Names []string
}

// Repository is a package repository for the time after the install.
type Repository struct {
	Name  string // file name below /etc/yum.repos.d or /etc/apt/sources.list.d
	URL   string
	Key   string // URL; empty means unsigned
	Suite string // of a Debian repository, with its components behind
	// Mirror says that URL is a copy of the tree that the node was installed
	// from, with the repositories below it that the medium has.
	Mirror bool
}

// Layout divides the system disk.
type Layout struct {
	Swap    int64    // bytes; zero means none
	Volumes []Volume // logical volumes, / among them; at most one grows
	Reason
}

// Volume is a logical volume.
type Volume struct {
	Name  string // of the volume: root, var_log
	Mount string
	Size  int64 // bytes, at least
	Grow  bool  // takes what is left
	Reason
}

// Network is the final network of a node: NICs first, then bonds, then VLANs.
type Network struct {
	Interfaces []Interface
}

// InterfaceKind is what an interface is made of.
type InterfaceKind string

// The kinds.
const (
	Ethernet InterfaceKind = "ethernet"
	BondKind InterfaceKind = "bond"
	VLAN     InterfaceKind = "vlan"
)

// Interface is one network interface after the install.
type Interface struct {
	Name     string // bond0, bond0.122; for an Ethernet port its name in the plan
	Kind     InterfaceKind
	NIC      site.NIC     // of an Ethernet port: how the system finds it
	Master   string       // the bond that the port belongs to
	Bond     site.Bond    // of a bond, with every option decided
	Parent   string       // of a VLAN
	VLAN     int          // 802.1Q id
	MTU      int          // bytes, always set
	DHCP     bool         // asks for its address
	Address  netip.Prefix // with the length of the subnet; not valid means none: the link is up without IP
	Gateway  netip.Addr   // the default route; valid on one interface at most
	Routes   []site.Route
	DNS      []netip.Addr
	Networks []string // of the plan, that it carries
}
