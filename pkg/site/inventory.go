package site

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// InventorySource is who looked at a machine.
type InventorySource string

// The sources, from the one that sees least to the one that sees most.
const (
	FromBMC       InventorySource = "bmc"       // over Redfish or IPMI
	FromInstaller InventorySource = "installer" // before the disk is touched
	FromDiscovery InventorySource = "discovery" // the system that never writes to a disk
)

// Inventory is a machine as one source found it. Every field is a claim; that
// of an authenticated BMC weighs more than that of a system on the wire.
type Inventory struct {
	Source       InventorySource `json:"source"`
	At           time.Time       `json:"at,omitzero"` // of the event that brought it
	Manufacturer string          `json:"manufacturer,omitempty"`
	Model        string          `json:"model,omitempty"`
	Serial       string          `json:"serial,omitempty"`
	UUID         UUID            `json:"uuid,omitzero"`
	Firmware     string          `json:"firmware,omitempty"` // BIOS or UEFI version
	BMC          InventoryBMC    `json:"bmc,omitzero"`
	Health       string          `json:"health,omitempty"`
	Problems     []string        `json:"problems,omitempty"` // sensors and parts that are not well
	Hardware     Hardware        `json:"hardware"`
	NICs         []InventoryNIC  `json:"nics,omitempty"`
	Reached      []Reached       `json:"reached,omitempty"` // gateways that were asked for
}

// InventoryBMC is the management controller of a machine, as seen from one of
// its sides.
type InventoryBMC struct {
	Address  netip.Addr `json:"address,omitzero"`
	MAC      MAC        `json:"mac,omitzero"`
	Firmware string     `json:"firmware,omitempty"`
}

// InventoryNIC is a network port that a machine has.
type InventoryNIC struct {
	Name      string    `json:"name,omitempty"`
	MAC       MAC       `json:"mac,omitzero"`
	Path      string    `json:"path,omitempty"` // PCI address
	Driver    string    `json:"driver,omitempty"`
	Link      string    `json:"link,omitempty"`  // up, down, or empty where nobody could tell
	Speed     int       `json:"speed,omitempty"` // Mbit/s
	MTU       int       `json:"mtu,omitempty"`   // bytes, the largest that the port takes
	Neighbour Neighbour `json:"neighbour,omitzero"`
}

// Neighbour is what the other end of a cable says of itself (LLDP, IEEE
// 802.1AB).
type Neighbour struct {
	Switch string `json:"switch,omitempty"` // system name, or else chassis ID
	Port   string `json:"port,omitempty"`   // port ID, or its description
	VLAN   int    `json:"vlan,omitempty"`   // port VLAN ID, 802.1Q; zero means not told
	MTU    int    `json:"mtu,omitempty"`    // bytes, maximum frame size; zero means not told
}

// MACs lists the addresses of the ports.
func (i Inventory) MACs() []MAC {
	var macs []MAC
	for _, n := range i.NICs {
		if n.MAC != (MAC{}) && !slices.Contains(macs, n.MAC) {
			macs = append(macs, n.MAC)
		}
	}
	return macs
}

// NodeInventoried is what a source found a planned machine to be.
type NodeInventoried struct {
	Node      string    `json:"node"`
	Inventory Inventory `json:"inventory"`
}

// StrangerInventoried is what a machine found itself to be that the plan does
// not name.
type StrangerInventoried struct {
	MAC       MAC       `json:"mac"` // that it booted from
	Inventory Inventory `json:"inventory"`
}

// The names of the bodies in the log, and their subjects.
func (NodeInventoried) Kind() string          { return "node-inventoried" }
func (StrangerInventoried) Kind() string      { return "stranger-inventoried" }
func (e NodeInventoried) Subject() string     { return e.Node }
func (e StrangerInventoried) Subject() string { return e.MAC.String() }

// InventoryFrom is what one source found the machine to be.
func (m *Machine) InventoryFrom(source InventorySource) (Inventory, bool) {
	i := slices.IndexFunc(m.Inventories, func(i Inventory) bool { return i.Source == source })
	if i < 0 {
		return Inventory{}, false
	}
	return m.Inventories[i], true
}

// Inventory is the machine as its sources together describe it: the one that
// sees most wins, the others fill in what it left out.
func (m *Machine) Inventory() Inventory {
	var all Inventory
	for _, source := range []InventorySource{FromDiscovery, FromInstaller, FromBMC} {
		if i, ok := m.InventoryFrom(source); ok {
			all = all.over(i)
		}
	}
	return all
}

// over fills in from base what i leaves out.
func (i Inventory) over(base Inventory) Inventory {
	i.Source, i.Manufacturer, i.Model = cmp.Or(i.Source, base.Source), cmp.Or(i.Manufacturer, base.Manufacturer), cmp.Or(i.Model, base.Model)
	i.Serial, i.UUID, i.Firmware = cmp.Or(i.Serial, base.Serial), cmp.Or(i.UUID, base.UUID), cmp.Or(i.Firmware, base.Firmware)
	i.BMC.Address, i.BMC.MAC, i.BMC.Firmware = cmp.Or(i.BMC.Address, base.BMC.Address), cmp.Or(i.BMC.MAC, base.BMC.MAC), cmp.Or(i.BMC.Firmware, base.BMC.Firmware)
	i.Health, i.Hardware = cmp.Or(i.Health, base.Health), i.Hardware.over(base.Hardware)
	if i.At.Before(base.At) {
		i.At = base.At
	}
	if len(i.NICs) == 0 {
		i.NICs = base.NICs
	}
	if len(i.Reached) == 0 {
		i.Reached = base.Reached
	}
	if len(i.Problems) == 0 {
		i.Problems = base.Problems
	}
	return i
}

func (s *State) applyInventory(e Event) error {
	switch b := e.Body.(type) {
	case NodeInventoried:
		return s.inventory(b.Node, b.Inventory, e.At)
	case StrangerInventoried:
		st, known := s.Strangers.Get(b.MAC)
		if !known {
			st = Stranger{MAC: b.MAC, First: e.At}
		}
		b.Inventory.At = e.At
		st.Inventory = &b.Inventory
		s.Strangers.set(b.MAC, st)
		return nil
	default:
		return fmt.Errorf("no rule folds a %T", e.Body)
	}
}

func (s *State) inventory(node string, found Inventory, at time.Time) error {
	if found.Source == FromBMC {
		s.forgetMACs(node)
	}
	err := s.change(node, func(m *Machine) error {
		found.At = at
		if found.Source == FromDiscovery {
			m.Discovery = DiscoveryAsk{}
		}
		rest := slices.DeleteFunc(slices.Clone(m.Inventories), func(i Inventory) bool { return i.Source == found.Source })
		m.Inventories = append(rest, found)
		return nil
	})
	if err == nil && found.Source == FromBMC {
		s.learnMACs(node, found.MACs())
	}
	return err
}

// learnMACs remembers the ports that an authenticated BMC names, so that any
// of them boots its node. What the plan says of a MAC comes first, and a port
// that two BMCs name belongs to nobody.
func (s *State) learnMACs(node string, macs []MAC) {
	for _, mac := range macs {
		owners, _ := s.learned.Get(mac)
		s.learned.set(mac, append(slices.Clone(owners), node))
		if len(owners) == 0 {
			s.Strangers.remove(mac)
		}
	}
}

// forgetMACs takes back what the BMC of a node named.
func (s *State) forgetMACs(node string) {
	m, ok := s.machines.Get(node)
	if !ok {
		return
	}
	bmc, _ := m.InventoryFrom(FromBMC)
	for _, mac := range bmc.MACs() {
		owners, _ := s.learned.Get(mac)
		rest := slices.DeleteFunc(slices.Clone(owners), func(o string) bool { return o == node })
		if len(rest) == 0 {
			s.learned.remove(mac)
			continue
		}
		s.learned.set(mac, rest)
	}
}

// machineByLearned finds the one node whose BMC named this MAC.
func (s *State) machineByLearned(mac MAC) (*Machine, bool) {
	owners, _ := s.learned.Get(mac)
	if len(owners) != 1 {
		return nil, false
	}
	return s.machines.Get(owners[0])
}
