package site

import (
	"slices"
	"time"
)

// NodeSeen is the first sight on the wire of a port that is a node's own: its
// MAC stands in the plan, or its BMC named it. Whoever claims afterwards to be
// the node, from a port that nobody knows, is asked about.
type NodeSeen struct {
	Node string `json:"node"`
	MAC  MAC    `json:"mac"`
}

// ClaimRefused is a machine that claimed to be a node that is another one: one
// that is being installed, or whose own port was seen. It was given nothing.
type ClaimRefused struct {
	Node    string `json:"node"`
	Attempt int    `json:"attempt"`
	MAC     MAC    `json:"mac"`   // of the machine that was refused
	Rival   MAC    `json:"rival"` // of the machine that is the node
	Reason  string `json:"reason"`
}

// Kind is the name of the change in the log.
func (NodeSeen) Kind() string     { return "node-seen" }
func (ClaimRefused) Kind() string { return "claim-refused" }

// Subject is the node: the one that was seen, or that both claim to be.
func (e NodeSeen) Subject() string     { return e.Node }
func (e ClaimRefused) Subject() string { return e.Node }

// Claim is a machine that was refused.
type Claim struct {
	MAC     MAC       `json:"mac"`
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`
}

// maxClaims bounds what the wire can make a machine grow by.
const maxClaims = 8

// Claimed reports whether a claim was refused already, or so many were that
// one more says nothing new.
func (m *Machine) Claimed(mac MAC, attempt int) bool {
	return len(m.Claims) >= maxClaims || slices.ContainsFunc(m.Claims, func(c Claim) bool { return c.MAC == mac && c.Attempt == attempt })
}

// maxSeen bounds the ports of a machine that are remembered.
const maxSeen = 32

// Saw reports whether a port of the machine is known to have been seen, or so
// many are that one more says nothing new.
func (m *Machine) Saw(mac MAC) bool { return len(m.Seen) >= maxSeen || slices.Contains(m.Seen, mac) }

// Owns reports whether a port is the machine's own: by the plan, or by what
// its BMC named.
func (s *State) Owns(m *Machine, mac MAC) bool {
	owner, ok := s.MachineByMAC(mac)
	return ok && owner.Node.Name == m.Node.Name
}

// SeenPort is a port of the machine's own that was seen on the wire.
func (s *State) SeenPort(m *Machine) (MAC, bool) {
	i := slices.IndexFunc(m.Seen, func(mac MAC) bool { return s.Owns(m, mac) })
	if i < 0 {
		return MAC{}, false
	}
	return m.Seen[i], true
}

// RefusedClaim is the latest claim from a port to be a node, and which one.
func (s *State) RefusedClaim(mac MAC) (node string, latest Claim, ok bool) {
	for name, m := range s.machines.All() {
		for _, c := range m.Claims {
			if c.MAC == mac && (!ok || c.At.After(latest.At)) {
				node, latest, ok = name, c, true
			}
		}
	}
	return node, latest, ok
}

func (s *State) saw(b NodeSeen) error {
	return s.change(b.Node, func(m *Machine) error {
		m.see(b.MAC)
		return nil
	})
}

func (m *Machine) see(mac MAC) {
	if mac != (MAC{}) && !m.Saw(mac) {
		m.Seen = append(slices.Clone(m.Seen), mac)
	}
}

func (s *State) refuseClaim(b ClaimRefused, at time.Time) error {
	return s.change(b.Node, func(m *Machine) error {
		m.Claims = append(slices.Clone(m.Claims), Claim{MAC: b.MAC, Attempt: b.Attempt, At: at, Reason: b.Reason})
		return nil
	})
}

// sameIdentity reports whether two entries of a plan mean the same machine.
func sameIdentity(a, b *Node) bool {
	return a.Serial == b.Serial && a.UUID == b.UUID && slices.Equal(a.MACs, b.MACs)
}
