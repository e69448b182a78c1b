package site

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Discovery is the leave to look at machines, and what follows from what is
// found. The zero Discovery is silence towards whoever the plan does not name.
type Discovery struct {
	Strangers bool            `json:"strangers,omitempty"` // machines that the plan does not name boot the discovery
	Image     string          `json:"image,omitempty"`     // whose kernel and initrd it runs in
	Wiring    Wiring          `json:"wiring,omitempty"`
	Rules     []DiscoveryRule `json:"rules,omitempty"` // the first that fits adopts
}

// Wiring says what a wrong cable does to an install.
type Wiring string

// The ways to take a cable that is not where the plan has it.
const (
	WiringDefault Wiring = ""        // WiringWarn
	WiringWarn    Wiring = "warn"    // the install goes on; the finding stands beside the node
	WiringEnforce Wiring = "enforce" // nothing is written while anything is wrong or could not be seen
	WiringOff     Wiring = "off"     // nobody looks
)

// DiscoveryRule makes a machine that was found a node of the plan. It never
// arms one.
type DiscoveryRule struct {
	Title string         `json:"rule,omitempty"` // for people
	Match DiscoveryMatch `json:"match"`
	// Name is a name with {1}, {2} for what the stars of the match stood for,
	// {1:2} padded with zeros to two digits; or a range, of which the first
	// free name is taken.
	Name string `json:"name"`
	Role string `json:"role"`
	Rack string `json:"rack,omitempty"` // may have {1} like Name
}

// DiscoveryMatch is what a rule looks at. Every field that is given must fit;
// a star in a text stands for anything.
type DiscoveryMatch struct {
	Switch string   `json:"switch,omitempty"` // neighbour of a NIC by LLDP
	Port   string   `json:"port,omitempty"`   // port of the same NIC's neighbour
	Serial []string `json:"serial,omitempty"` // any of them
	Model  string   `json:"model,omitempty"`
	Disks  int      `json:"disks,omitempty"` // how many there are, exactly
}

// IsZero reports whether the match would fit every machine.
func (m DiscoveryMatch) IsZero() bool {
	return m.Switch == "" && m.Port == "" && len(m.Serial) == 0 && m.Model == "" && m.Disks == 0
}

// DiscoveryAsk is an operator's wish to look at a node once, when it next
// boots from the network.
type DiscoveryAsk struct {
	By    string    `json:"by,omitempty"`
	At    time.Time `json:"at,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Reached is what became of asking a gateway for its address over one port.
type Reached struct {
	NIC     MAC    `json:"nic"`
	Network string `json:"network"`
	OK      bool   `json:"ok,omitempty"`
}

// DiscoveryAsked sends a node into the discovery when it next boots from the
// network, once.
type DiscoveryAsked struct {
	Node  string    `json:"node"`
	By    string    `json:"by,omitempty"`
	Until time.Time `json:"until"`
}

// StrangerForgotten takes a stranger off the list. It comes back when it is
// seen again.
type StrangerForgotten struct {
	MAC MAC    `json:"mac"`
	By  string `json:"by,omitempty"`
}

// The names of the bodies in the log, and their subjects.
func (DiscoveryAsked) Kind() string         { return "discovery-asked" }
func (StrangerForgotten) Kind() string      { return "stranger-forgotten" }
func (e DiscoveryAsked) Subject() string    { return e.Node }
func (e StrangerForgotten) Subject() string { return e.MAC.String() }

func (s *State) applyDiscovery(e Event) error {
	switch b := e.Body.(type) {
	case DiscoveryAsked:
		return s.change(b.Node, func(m *Machine) error {
			m.Discovery = DiscoveryAsk{By: b.By, At: e.At, Until: b.Until}
			return nil
		})
	case StrangerForgotten:
		s.Strangers.remove(b.MAC)
		return nil
	default:
		return fmt.Errorf("no rule folds a %T", e.Body)
	}
}

// Claims reports whether two entries name the same machine: by a MAC, the
// serial number or the UUID.
func (n *Node) Claims(other *Node) bool {
	if n.Serial != "" && n.Serial == other.Serial || !n.UUID.Junk() && n.UUID == other.UUID {
		return true
	}
	return slices.ContainsFunc(n.MACs, func(m MAC) bool { return slices.Contains(other.MACs, m) })
}

// Stranger finds a machine that the plan does not name, by its MAC or by the
// serial number that its discovery reported.
func (s *State) Stranger(who string) (Stranger, bool) {
	if mac, err := ParseMAC(who); err == nil {
		return s.Strangers.Get(mac)
	}
	for _, st := range s.Strangers.All() {
		if st.Inventory != nil && st.Inventory.Serial != "" && strings.EqualFold(st.Inventory.Serial, who) {
			return st, true
		}
	}
	return Stranger{}, false
}
