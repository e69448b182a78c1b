package site

import (
	"net/netip"
	"time"
)

// Plan is what an engineer decided about a site: which machines exist, what
// each must become, and how Rackseed may speak on the wire.
type Plan struct {
	Settings
	Nodes []Node
}

// Settings is the part of a plan that is not about one machine.
type Settings struct {
	Site      string             `json:"site"`
	Domain    string             `json:"domain,omitempty"`
	Locale    Locale             `json:"locale"`
	Access    Access             `json:"access"`
	Provision Provision          `json:"provision"`
	Networks  map[string]Network `json:"networks,omitempty"`
	Images    map[string]Medium  `json:"images,omitempty"`
	BMC       BMC                `json:"bmc"`
	Roles     map[string]Role    `json:"roles,omitempty"`
	OpenStack OpenStack          `json:"openstack,omitzero"`
	Discovery Discovery          `json:"discovery,omitzero"`

	Repositories map[string]Repository `json:"repositories,omitempty"`
	Webhooks     []Webhook             `json:"webhooks,omitempty"`
	// Profiles are the texts of the role profiles that the site brought, by
	// name. They are kept with the plan because it cannot be carried out
	// without them.
	Profiles map[string]string `json:"profiles,omitempty"`
}

// Locale is what an installer would otherwise ask about place and keyboard.
type Locale struct {
	Timezone string `json:"timezone,omitempty"` // IANA name, Asia/Shanghai
	Language string `json:"language,omitempty"` // POSIX locale, zh_CN.UTF-8
	Keyboard string `json:"keyboard,omitempty"` // XKB layout, us
}

// RootLocked is the value of Access.Root that leaves root without a password.
const RootLocked = "locked"

// Access says who may log in to an installed node.
type Access struct {
	Root    Secret   `json:"root,omitempty"` // RootLocked or a crypt(5) hash
	SSHKeys []string `json:"ssh_keys,omitempty"`
}

// DHCPMode is how Rackseed takes part in address assignment.
type DHCPMode string

// The modes of a provisioning network.
const (
	DHCPServer DHCPMode = "server" // addresses and boot files
	DHCPProxy  DHCPMode = "proxy"  // boot files beside the site's own DHCP server
	DHCPOff    DHCPMode = "off"    // silent: somebody else points machines at us
)

// LocalBoot is how a machine is sent to its own disk. Firmware differs in
// which of them works, so a plan can choose per site and per node.
type LocalBoot string

// The three ways to boot the local disk, and the choice among them.
const (
	// LocalAuto is LocalFirmware for BIOS and LocalExit for UEFI. EDK2 asks
	// four times, for a minute, before it believes that there is no boot file,
	// and again for each of its network entries: OVMF, which has four, reached
	// its disk after five minutes, and after half a minute with LocalExit.
	LocalAuto LocalBoot = ""
	// LocalFirmware answers DHCP without a boot file: the firmware gives up
	// on the network and tries its next boot entry. Nothing is transferred.
	LocalFirmware LocalBoot = "firmware"
	// LocalExit loads iPXE and exits from it with an error, which makes a UEFI
	// boot manager try its next entry (UEFI 2.10 section 3.1.1).
	LocalExit LocalBoot = "exit"
	// LocalSanboot loads iPXE and has it start the first disk itself, for
	// firmware that does not go on to the next entry after iPXE exits.
	LocalSanboot LocalBoot = "sanboot"
)

// Provision is how Rackseed speaks on the provisioning network.
type Provision struct {
	Network   string        `json:"network,omitempty"`
	DHCP      DHCPMode      `json:"dhcp,omitempty"`
	Pool      Range         `json:"pool"`
	LeaseTime time.Duration `json:"lease_time,omitempty"` // nanoseconds; zero means DefaultLeaseTime
	LocalBoot LocalBoot     `json:"local_boot,omitempty"`
	// FullAnswer lets a machine that takes no boot file beside the network's
	// own DHCP server have its planned address from us, it alone.
	FullAnswer bool `json:"full_answer,omitempty"`
}

// DefaultLeaseTime outlives any install, and returns the addresses of a pool
// on the day after the crew has gone.
const DefaultLeaseTime = 12 * time.Hour

// Range is an inclusive run of IPv4 addresses; the zero Range is empty.
type Range struct {
	First netip.Addr `json:"first"`
	Last  netip.Addr `json:"last"`
}

// IsZero reports whether there is no range.
func (r Range) IsZero() bool { return !r.First.IsValid() }

// Contains reports whether a lies in the range.
func (r Range) Contains(a netip.Addr) bool {
	return r.First.IsValid() && a.Is4() && r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}

// Size counts the addresses.
func (r Range) Size() int {
	if !r.First.Is4() || !r.Last.Is4() || r.Last.Less(r.First) {
		return 0
	}
	return int(addrNumber(r.Last)-addrNumber(r.First)) + 1
}

// At gives the address i places after the first; ok is false past the end.
func (r Range) At(i int) (netip.Addr, bool) {
	if i < 0 || i >= r.Size() {
		return netip.Addr{}, false
	}
	return AddrAfter(r.First, i)
}

// AddrAfter gives the IPv4 address n places after a; ok is false if there is
// none.
func AddrAfter(a netip.Addr, n int) (netip.Addr, bool) {
	if !a.Is4() {
		return netip.Addr{}, false
	}
	v := int64(addrNumber(a)) + int64(n)
	if v < 0 || v > 1<<32-1 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

func addrNumber(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// Network is one layer-3 network of the site.
type Network struct {
	Subnet  netip.Prefix `json:"subnet"`
	VLAN    int          `json:"vlan,omitempty"` // 802.1Q id; zero means untagged
	MTU     int          `json:"mtu,omitempty"`  // bytes; zero means 1500
	Gateway netip.Addr   `json:"gateway"`
	DNS     []netip.Addr `json:"dns,omitempty"`
	NTP     []netip.Addr `json:"ntp,omitempty"`

	Roles        []NetworkRole `json:"roles,omitempty"`         // what it is for; empty means its name
	Routes       []Route       `json:"routes,omitempty"`        // besides the default route
	BMCPool      Range         `json:"bmc_pool,omitzero"`       // for BMCs that ask for an address; empty gives them none
	DefaultRoute *bool         `json:"default_route,omitempty"` // nil means: management, else the provisioning network
}

// Medium is an installation medium that the plan counts on.
type Medium struct {
	File   string `json:"file,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // lower-case hex; empty means any
	Mirror string `json:"mirror,omitempty"` // URL of the same tree at the site, for the time after the install
	// MirrorKey is the URL of the key that the mirror's packages are signed
	// with, of the kind file when the installed system has it.
	MirrorKey string `json:"mirror_key,omitempty"`
}

// SecretRef says where a secret comes from; it never holds one.
type SecretRef struct {
	Env    string `json:"env,omitempty"`
	File   string `json:"file,omitempty"`
	Sealed Secret `json:"sealed,omitempty"`
}

// BMC is how to reach a baseboard management controller.
type BMC struct {
	Address  string    `json:"address,omitempty"` // host, host:port or https URL
	Protocol string    `json:"protocol,omitempty"`
	Username string    `json:"username,omitempty"`
	Password SecretRef `json:"password"`
	MAC      MAC       `json:"mac,omitzero"` // of its own port, for the hand-over and to find it twice
}

// Role is what a group of machines must become.
type Role struct {
	Profile  string            `json:"profile"`
	Image    string            `json:"image,omitempty"`
	Set      map[string]any    `json:"set,omitempty"`
	Networks map[string]string `json:"networks,omitempty"` // network name → bond or NIC
	NICs     map[string]NIC    `json:"nics,omitempty"`     // ports that all its machines have
	Bonds    map[string]Bond   `json:"bonds,omitempty"`
	Disks    Disks             `json:"disks,omitzero"`
	Hardware Hardware          `json:"hardware,omitzero"`
}

// Node is one planned machine.
type Node struct {
	Name      string                `json:"name"`
	Role      string                `json:"role"`
	Rack      string                `json:"rack,omitempty"`
	U         int                   `json:"u,omitempty"`
	MACs      []MAC                 `json:"macs,omitempty"`
	Serial    string                `json:"serial,omitempty"`
	UUID      UUID                  `json:"uuid,omitzero"`
	Addresses map[string]netip.Addr `json:"addresses,omitempty"` // by network name
	BMC       BMC                   `json:"bmc"`
	Disks     Disks                 `json:"disks"`
	NICs      map[string]NIC        `json:"nics,omitempty"` // ports by name
	Hardware  Hardware              `json:"hardware,omitzero"`
	Image     string                `json:"image,omitempty"` // overrides the role's
	LocalBoot LocalBoot             `json:"local_boot,omitempty"`
	Set       map[string]any        `json:"set,omitempty"`

	// Adopted says that `rackseed node adopt` or a rule made it, not the plan file.
	Adopted bool `json:"adopted,omitempty"`

	// Place is the YAML path of the entry that this node was expanded from,
	// nodes[3]; it leads findings back to the file and is not stored.
	Place string `json:"-"`
}

// ProvisionNetwork is the network that Rackseed serves.
func (s *Settings) ProvisionNetwork() (Network, bool) {
	n, ok := s.Networks[s.Provision.Network]
	return n, ok
}

// LeaseTime is how long a lease runs.
func (s *Settings) LeaseTime() time.Duration {
	if s.Provision.LeaseTime > 0 {
		return s.Provision.LeaseTime
	}
	return DefaultLeaseTime
}

// ImageOf names the image that the node installs from.
func (s *Settings) ImageOf(n *Node) string {
	if n.Image != "" {
		return n.Image
	}
	return s.Roles[n.Role].Image
}

// LocalBootOf is the way that the node is sent to its disk.
func (s *Settings) LocalBootOf(n *Node) LocalBoot {
	if n.LocalBoot != LocalAuto {
		return n.LocalBoot
	}
	return s.Provision.LocalBoot
}

// Address is the node's reserved address on the provisioning network.
func (s *Settings) Address(n *Node) (netip.Addr, bool) {
	a, ok := n.Addresses[s.Provision.Network]
	return a, ok
}
