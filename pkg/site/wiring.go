package site

import (
	"fmt"
	"maps"
	"net/netip"
)

// NetworkRole is what a network is for. A network serves the role that it is
// named after, unless it says others.
type NetworkRole string

// The network roles.
const (
	NetProvision      NetworkRole = "provision"
	NetIPMI           NetworkRole = "ipmi"
	NetManagement     NetworkRole = "management"
	NetStorage        NetworkRole = "storage"
	NetStorageCluster NetworkRole = "storage-cluster"
	NetTenant         NetworkRole = "tenant"
	NetExternal       NetworkRole = "external"
	NetMigration      NetworkRole = "migration"
	NetDisplay        NetworkRole = "display"
	NetBusiness       NetworkRole = "business"
)

// NetworkRoles lists them all.
func NetworkRoles() []NetworkRole {
	return []NetworkRole{NetProvision, NetIPMI, NetManagement, NetStorage, NetStorageCluster, NetTenant, NetExternal, NetMigration, NetDisplay, NetBusiness}
}

// Route is a way to addresses that are not on the network itself.
type Route struct {
	To  netip.Prefix `json:"to"`
	Via netip.Addr   `json:"via"`
}

// NIC is a network port of a machine. At least one of MAC, Path and Name
// says which; MAC wins over Path, and Path over Name.
type NIC struct {
	MAC    MAC    `json:"mac,omitzero"`
	Path   string `json:"path,omitempty"`   // PCI address, 0000:3b:00.0: the same slot in machines of one model
	Name   string `json:"name,omitempty"`   // as the installed system calls it; differs between releases
	Speed  int    `json:"speed,omitempty"`  // Mbit/s
	Switch string `json:"switch,omitempty"` // neighbour by LLDP
	Port   string `json:"port,omitempty"`   // port of the neighbour
}

// Bond joins NICs.
type Bond struct {
	NICs    []string          `json:"nics,omitempty"`
	Mode    string            `json:"mode,omitempty"`    // as the kernel spells it: active-backup, 802.3ad
	Options map[string]string `json:"options,omitempty"` // of the bonding driver: miimon, xmit_hash_policy
	MTU     int               `json:"mtu,omitempty"`     // bytes; zero means the largest of its networks
	// Fallback says how the switch lets one member through before LACP is
	// negotiated, which firmware cannot: a vendor, or yes.
	Fallback string `json:"fallback,omitempty"`
}

// Equal compares bonds.
func (b Bond) Equal(other Bond) bool {
	return fmt.Sprint(b.NICs) == fmt.Sprint(other.NICs) && b.Mode == other.Mode && maps.Equal(b.Options, other.Options) && b.MTU == other.MTU && b.Fallback == other.Fallback
}

// OpenStack is what the deployer that comes next needs to know.
type OpenStack struct {
	Deployer        string     `json:"deployer,omitempty"` // kolla, or empty for none
	Release         string     `json:"release,omitempty"`  // 2024.1, zed
	InternalVIP     netip.Addr `json:"internal_vip"`
	ExternalVIP     netip.Addr `json:"external_vip"`
	VirtualRouterID int        `json:"virtual_router_id,omitempty"` // VRRP, 1 to 255, unique on the management network
	Registry        string     `json:"registry,omitempty"`          // HOST:PORT of the container registry
}

// Repository is a package repository that nodes use after the install, when
// the laptop has gone.
type Repository struct {
	URL    string   `json:"url"`
	Key    string   `json:"key,omitempty"`    // URL of the signing key; empty means unsigned
	Images []string `json:"images,omitempty"` // images whose nodes use it; empty means all
	Suite  string   `json:"suite,omitempty"`  // of a Debian repository: trixie; its components follow after blanks
}

// NICsOf gives the ports of the node by name: those of its entry over those
// of its role. The MACs under mac are nic1, nic2 and so on, in their order,
// unless nics names them.
func (s *Settings) NICsOf(n *Node) map[string]NIC {
	out := map[string]NIC{}
	maps.Copy(out, s.Roles[n.Role].NICs)
	named := map[MAC]bool{}
	for name, nic := range n.NICs {
		out[name] = nic
		named[nic.MAC] = true
	}
	for i, mac := range n.MACs {
		if named[mac] {
			continue
		}
		name := fmt.Sprintf("nic%d", i+1)
		nic := out[name]
		nic.MAC = mac
		out[name] = nic
	}
	return out
}

// Wired reports whether the plan describes the devices that the node's role
// puts networks on. A plan may leave that to somebody else: then the node
// keeps the network of its installer.
func (s *Settings) Wired(n *Node) bool {
	r := s.Roles[n.Role]
	if len(r.Networks) == 0 {
		return false
	}
	if len(r.Bonds)+len(r.NICs)+len(n.NICs) > 0 {
		return true
	}
	nics := s.NICsOf(n)
	for _, device := range r.Networks {
		if _, ok := nics[device]; ok {
			return true
		}
	}
	return false
}

// RolesOf tells what the network of a name is for.
func (s *Settings) RolesOf(network string) []NetworkRole {
	if roles := s.Networks[network].Roles; len(roles) > 0 {
		return roles
	}
	return []NetworkRole{NetworkRole(network)}
}
