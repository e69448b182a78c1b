package site

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// BMCAccess is how the BMC of a node is reached, as far as that was found out
// or set by us and is not in the plan. It is kept for a node that leaves the
// plan, because nothing else knows a password that was generated.
type BMCAccess struct {
	Address  string `json:"address,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Username string `json:"username,omitempty"` // that the passwords are of
	Password Secret `json:"password,omitempty"` // sealed; was seen to be in force
	Next     Secret `json:"next,omitempty"`     // sealed; on record before it was sent, and may be in force
	Before   Secret `json:"before,omitempty"`   // sealed; was in force before Password: a BMC that is reset may go back
}

// BMCAdopted has a node use a BMC whose machine was found to be it.
type BMCAdopted struct {
	Node     string `json:"node"`
	Address  string `json:"address"`
	Protocol string `json:"protocol,omitempty"`
	Username string `json:"username,omitempty"`
	Password Secret `json:"password,omitempty"` // sealed
	By       string `json:"by,omitempty"`
}

// BMCPasswordIssued puts a password on record that is about to be set.
type BMCPasswordIssued struct {
	Node     string `json:"node"`
	Username string `json:"username"`
	Password Secret `json:"password"` // sealed
	By       string `json:"by,omitempty"`
}

// BMCPasswordSettled says which password was seen to be in force: the one
// that was issued last, or the one from before it.
type BMCPasswordSettled struct {
	Node    string `json:"node"`
	Changed bool   `json:"changed,omitempty"`
}

// BMCForgotten has a node use again what the plan says of its BMC.
type BMCForgotten struct {
	Node string `json:"node"`
	By   string `json:"by,omitempty"`
}

// The names of the bodies in the log, and their subjects.
func (BMCAdopted) Kind() string              { return "bmc-adopted" }
func (BMCPasswordIssued) Kind() string       { return "bmc-password-issued" }
func (BMCPasswordSettled) Kind() string      { return "bmc-password-settled" }
func (BMCForgotten) Kind() string            { return "bmc-forgotten" }
func (e BMCAdopted) Subject() string         { return e.Node }
func (e BMCPasswordIssued) Subject() string  { return e.Node }
func (e BMCPasswordSettled) Subject() string { return e.Node }
func (e BMCForgotten) Subject() string       { return e.Node }

// BMCOf is how the machine's BMC is reached: the plan says it, and what was
// learned fills in what the plan leaves out. A password that we set is in
// place of the plan's, which was set before it.
func (s *State) BMCOf(m *Machine) BMC {
	b := s.Settings.BMCOf(m.Node)
	a, ok := s.Access.Get(m.Node.Name)
	if !ok {
		return b
	}
	if b.Address == "" {
		b.Address = a.Address
	}
	if m.Node.BMC.Protocol == "" && a.Protocol != "" {
		b.Protocol = a.Protocol
	}
	if a.Password != "" && a.speaksFor(m.Node.BMC) {
		b.Username, b.Password = a.Username, SecretRef{Sealed: a.Password}
	}
	return b
}

// speaksFor: a node whose entry names another user does not log in as ours.
func (a BMCAccess) speaksFor(planned BMC) bool {
	return planned.Username == "" || planned.Username == a.Username
}

// NextBMCPassword is the sealed password that a change which did not come to
// its end may have set, and its user.
func (s *State) NextBMCPassword(m *Machine) (username string, password Secret) {
	a, _ := s.Access.Get(m.Node.Name)
	if a.Next == "" || !a.speaksFor(m.Node.BMC) {
		return "", ""
	}
	return a.Username, a.Next
}

func (s *State) applyAccess(e Event) error {
	switch b := e.Body.(type) {
	case BMCAdopted:
		return s.adoptBMC(b)
	case BMCPasswordIssued:
		return s.changeAccess(b.Node, func(a *BMCAccess) error {
			if a.Username != b.Username {
				a.Password, a.Before = "", "" // they are another user's
			}
			a.Username, a.Next = b.Username, b.Password
			return nil
		})
	case BMCPasswordSettled:
		return s.changeAccess(b.Node, func(a *BMCAccess) error {
			if b.Changed && a.Next == "" {
				return fmt.Errorf("no password of %s was issued", b.Node)
			}
			if b.Changed {
				a.Before, a.Password = a.Password, a.Next
			}
			a.Next = ""
			return nil
		})
	case BMCForgotten:
		s.Access.remove(b.Node)
		return nil
	default:
		return fmt.Errorf("no rule folds a %T", e.Body)
	}
}

func (s *State) changeAccess(node string, edit func(*BMCAccess) error) error {
	if _, ok := s.machines.Get(node); !ok {
		return fmt.Errorf("there is no node %s", node)
	}
	a, _ := s.Access.Get(node)
	if err := edit(&a); err != nil {
		return err
	}
	s.Access.set(node, a)
	return nil
}

func (s *State) adoptBMC(b BMCAdopted) error {
	m, ok := s.machines.Get(b.Node)
	if !ok {
		return fmt.Errorf("there is no node %s", b.Node)
	}
	before := s.BMCOf(m).Address
	err := s.changeAccess(b.Node, func(a *BMCAccess) error {
		a.Address, a.Protocol = b.Address, b.Protocol
		if b.Password != "" {
			a.Username, a.Password, a.Next, a.Before = b.Username, b.Password, "", ""
		}
		return nil
	})
	if err != nil || s.BMCOf(m).Address == before {
		return err
	}
	s.forgetMACs(b.Node)
	return s.change(b.Node, func(m *Machine) error {
		m.forgetBMC()
		return nil
	})
}

// forgetBMC takes back what was found out about a BMC that the node does not
// have any more.
func (m *Machine) forgetBMC() {
	m.BMC = BMCKnown{}
	m.Inventories = slices.DeleteFunc(slices.Clone(m.Inventories), func(i Inventory) bool { return i.Source == FromBMC })
}

// Claim says which node a machine is by what its BMC tells, and by what. It
// is an error if one part of the inventory contradicts another, or the plan.
func (s *State) Claim(i Inventory) (m *Machine, by string, err error) {
	if serial := normalSerial(i.Serial); serial != "" && !JunkSerial(i.Serial) {
		m, _ = s.MachineBySerial(serial)
		by = "serial " + i.Serial
	}
	if m == nil && !i.UUID.Junk() {
		m, _ = s.MachineByUUID(i.UUID)
		by = "UUID " + i.UUID.String()
	}
	for _, mac := range i.MACs() {
		if m == nil {
			m, _ = s.named(s.byMAC.Get(mac))
			by = "MAC " + mac.String()
		}
	}
	if m == nil {
		return nil, "", nil
	}
	return m, by, s.Contradiction(m, i)
}

// Contradiction says what of an inventory speaks against its being the
// machine's, or nil. What contradicts the plan teaches nothing: somebody
// swapped a cable, an address or a board.
func (s *State) Contradiction(m *Machine, i Inventory) error {
	n := m.Node
	if serial := normalSerial(i.Serial); serial != "" && !JunkSerial(i.Serial) {
		if other, ok := s.MachineBySerial(serial); ok && other.Node.Name != n.Name {
			return fmt.Errorf("it is another machine: serial %s is %s in the plan, not %s", i.Serial, other.Node.Name, n.Name)
		}
		if n.Serial != "" && normalSerial(n.Serial) != serial {
			return fmt.Errorf("it is another machine: its serial is %s, and the plan says %s for %s", i.Serial, n.Serial, n.Name)
		}
	}
	for _, mac := range i.MACs() {
		if other, ok := s.named(s.byMAC.Get(mac)); ok && other.Node.Name != n.Name {
			return fmt.Errorf("it is another machine, or two share a port: its MAC %s is %s in the plan, not %s", mac, other.Node.Name, n.Name)
		}
	}
	if n.Serial == "" && !n.UUID.IsZero() && !i.UUID.Junk() && i.UUID != n.UUID && i.UUID != n.UUID.swapped() {
		return fmt.Errorf("it is another machine: its UUID is %s, and the plan says %s for %s", i.UUID, n.UUID, n.Name)
	}
	return nil
}

// swapped is the UUID with its first three fields in the other byte order:
// firmware differs in which it tells (SMBIOS 2.6 section 7.2.1 changed it).
func (u UUID) swapped() UUID {
	u[0], u[1], u[2], u[3] = u[3], u[2], u[1], u[0]
	u[4], u[5] = u[5], u[4]
	u[6], u[7] = u[7], u[6]
	return u
}

// normalSerial is a serial number as it is compared: labels, firmware and
// host names differ in case.
func normalSerial(serial string) string { return strings.ToUpper(strings.TrimSpace(serial)) }

// FoundBMC is a BMC that an operator had asked, with what it told.
type FoundBMC struct {
	Address   string
	Protocol  string
	Username  string
	Password  Secret // sealed; empty where the plan's is used
	Known     BMCKnown
	Inventory Inventory
}

// ErrNotPlanned means that no node of the plan has the serial, UUID or MACs
// of a machine.
var ErrNotPlanned = errors.New("the plan names no machine with this serial, UUID or MAC")

// AdoptBMC decides that a BMC is that of a planned node, and gives what is to
// be recorded: nothing, if it is on record already.
func (s *State) AdoptBMC(f FoundBMC, by string, now time.Time) (m *Machine, bodies []Body, err error) {
	m, _, err = s.Claim(f.Inventory)
	switch {
	case err != nil:
		return m, nil, err
	case m == nil:
		return nil, nil, ErrNotPlanned
	}
	planned := s.Settings.BMCOf(m.Node)
	if planned.Address != "" && !sameHost(planned.Address, f.Address) {
		return m, nil, fmt.Errorf("the plan gives %s the BMC %s: correct bmc: {address: %s} in the plan, or find out whose BMC it is", m.Node.Name, planned.Address, f.Address)
	}
	for _, other := range s.Machines() {
		if b := s.BMCOf(other); other.Node.Name != m.Node.Name && b.Address != "" && sameHost(b.Address, f.Address) {
			return m, nil, fmt.Errorf("%s is the BMC of %s: correct the plan, or `rackseed bmc forget %s`", f.Address, other.Node.Name, other.Node.Name)
		}
	}
	have, want := s.BMCOf(m), BMCAdopted{Node: m.Node.Name, Address: f.Address, Protocol: f.Protocol, Username: f.Username, Password: f.Password, By: by}
	if have.Address == "" || !sameHost(have.Address, f.Address) || f.Password != "" {
		bodies = append(bodies, want)
	}
	if f.Known != (BMCKnown{}) && f.Known != m.BMC {
		bodies = append(bodies, BMCLearned{Node: m.Node.Name, Known: f.Known})
	}
	f.Inventory.Source = FromBMC
	return m, append(bodies, NodeInventoried{Node: m.Node.Name, Inventory: f.Inventory}), nil
}

// sameHost compares BMC addresses without what a URL has around them.
func sameHost(a, b string) bool { return hostOf(a) == hostOf(b) }

func hostOf(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address, _, _ = strings.Cut(rest, "/")
	}
	if ap, err := netip.ParseAddrPort(address); err == nil {
		if p := ap.Port(); p == 443 || p == 623 {
			return ap.Addr().String()
		}
		return ap.String()
	}
	if a, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		return a.String()
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(address, ":443"), ":623"))
}
