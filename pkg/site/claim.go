package site

import (
	"slices"
	"time"
)

// ClaimRefused is a machine that claimed to be a node whose install runs on
// another one. It was given nothing.
type ClaimRefused struct {
	Node    string `json:"node"`
	Attempt int    `json:"attempt"`
	MAC     MAC    `json:"mac"`   // of the machine that was refused
	Rival   MAC    `json:"rival"` // of the machine that is installed
	Reason  string `json:"reason"`
}

// Kind is the name of the change in the log.
func (ClaimRefused) Kind() string { return "claim-refused" }

// Subject is the node that both claim to be.
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
