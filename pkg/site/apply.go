package site

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Apply folds one event into a forked State. It is deterministic: it reads
// nothing but the state and the event. An event that the state cannot have
// led to is an error, because a log that does not fold must not be served.
func (s *State) Apply(e Event) error {
	if e.Seq != s.Seq+1 {
		return fmt.Errorf("event %d does not follow event %d", e.Seq, s.Seq)
	}
	if err := s.apply(e); err != nil {
		return fmt.Errorf("event %d (%s): %w", e.Seq, e.Body.Kind(), err)
	}
	s.Seq = e.Seq
	switch e.Body.(type) {
	case PlanApplied, NodePlanned, NodeUnplanned:
		s.PlanSeq = e.Seq
	}
	return nil
}

func (s *State) apply(e Event) error {
	switch b := e.Body.(type) {
	case PlanApplied:
		s.applySettings(b)
	case NodePlanned:
		s.applyNode(b, e.At)
	case NodeUnplanned:
		return s.unplan(b.Name)
	case ImageAdded:
		s.Images.set(b.Image.Name, b.Image)
	case ImageRemoved:
		s.Images.remove(b.Name)
	case StrangerSeen:
		st, known := s.Strangers.Get(b.MAC)
		if !known {
			st.First = e.At
		}
		st.MAC, st.Arch, st.Class, st.Hostname = b.MAC, b.Arch, b.Class, b.Hostname
		s.Strangers.set(b.MAC, st)
	case LeaseGranted:
		s.grant(b.Lease)
	case LeaseReleased:
		s.release(b.MAC)
	case AddressDeclined:
		s.release(b.MAC)
		s.Declined.set(b.Addr, b.Until)
	case JobQueued, JobStep, JobNodeDone, JobEnded, JobResumed, BMCLearned:
		return s.applyJob(e)
	case BootLadderStepped, BootLadderWorked:
		return s.applyLadder(e)
	case NodeInventoried, StrangerInventoried:
		return s.applyInventory(e)
	case BMCAdopted, BMCPasswordIssued, BMCPasswordSettled, BMCForgotten:
		return s.applyAccess(e)
	case NodeSeen:
		return s.saw(b)
	case ClaimRefused:
		return s.refuseClaim(b, e.At)
	case DiscoveryAsked, StrangerForgotten:
		return s.applyDiscovery(e)
	default:
		return s.applyInstall(e)
	}
	return nil
}

func (s *State) applyInstall(e Event) error {
	switch b := e.Body.(type) {
	case Armed:
		return s.change(b.Node, func(m *Machine) error {
			m.enter(PhaseArmed, e.At)
			m.Arming = Arming{By: b.By, Reason: b.Reason, At: e.At, Until: b.Until}
			m.Discovery = DiscoveryAsk{}
			m.Installed, m.Reason, m.Deviations, m.Claims = false, "", nil, nil
			return nil
		})
	case Disarmed:
		return s.change(b.Node, func(m *Machine) error {
			m.enter(PhasePlanned, e.At)
			m.Arming, m.Reason = Arming{}, ""
			return nil
		})
	case InstallStarted:
		return s.change(b.Node, func(m *Machine) error { return m.start(b, e.At) })
	case InstallResumed:
		return s.changeAttempt(b.Node, b.Attempt, func(m *Machine) {
			m.Attempt.Boots++
			m.Attempt.Deadline = b.Deadline
		})
	case AnswerServed:
		return s.changeAttempt(b.Node, b.Attempt, func(m *Machine) { m.Attempt.Answers++ })
	case InstallProgress:
		return s.changeAttempt(b.Node, b.Attempt, func(m *Machine) {
			m.enter(PhaseInstalling, e.At)
			m.Attempt.Stage, m.Attempt.Detail, m.Attempt.Deadline = b.Stage, b.Detail, b.Deadline
		})
	case InstallDone:
		return s.changeAttempt(b.Node, b.Attempt, func(m *Machine) {
			m.enter(PhaseInstalled, e.At)
			m.Installed, m.Wiped = true, false
			m.Attempt.Deadline = b.Deadline
		})
	case InstallFailed:
		return s.changeAttempt(b.Node, b.Attempt, func(m *Machine) {
			m.enter(PhaseFailed, e.At)
			m.Reason, m.Wiped = b.Reason, m.Wiped || b.Wiped
			m.Attempt.Stage, m.Attempt.Ended = b.Stage, e.At
		})
	case NodeVerified:
		return s.changeAttempt(b.Node, b.Attempt, func(m *Machine) {
			if len(b.Deviations) == 0 {
				m.enter(PhaseReady, e.At)
			} else {
				m.enter(PhaseInstalled, e.At)
			}
			m.Deviations, m.Reason = b.Deviations, ""
			m.Attempt.Ended, m.Attempt.Deadline = e.At, time.Time{}
		})
	case EvidenceStored:
		return s.changeAttempt(b.Node, b.Attempt, func(m *Machine) {
			m.Evidence = append(slices.Clone(m.Evidence), Evidence{Attempt: b.Attempt, File: b.File, SHA256: b.SHA256, Size: b.Size})
		})
	case NodeHeld:
		return s.change(b.Node, func(m *Machine) error {
			m.enter(PhaseHeld, e.At)
			m.Reason = b.Reason
			return nil
		})
	default:
		return fmt.Errorf("no rule folds a %T", e.Body)
	}
}

func (m *Machine) enter(p Phase, at time.Time) {
	if m.Phase != p {
		m.Phase, m.Since = p, at
	}
}

func (m *Machine) start(b InstallStarted, at time.Time) error {
	if m.Phase != PhaseArmed {
		return fmt.Errorf("%s is %s, not armed: an install needs both keys", b.Node, m.Phase)
	}
	if b.Attempt != m.Attempt.Number+1 {
		return fmt.Errorf("attempt %d of %s does not follow attempt %d", b.Attempt, b.Node, m.Attempt.Number)
	}
	m.enter(PhaseBooting, at)
	m.Arming = Arming{}
	m.see(b.MAC)
	m.Attempt = Attempt{
		Number: b.Attempt, Nonce: b.Nonce, Token: b.Token, Image: b.Image, MAC: b.MAC, Addr: b.Addr,
		Started: at, Deadline: b.Deadline, Boots: 1,
	}
	return nil
}

// change replaces a machine by an edited copy, and keeps the token index to
// attempts that may still speak.
func (s *State) change(name string, edit func(*Machine) error) error {
	old, ok := s.machines.Get(name)
	if !ok {
		return fmt.Errorf("there is no node %s", name)
	}
	m := *old
	if err := edit(&m); err != nil {
		return err
	}
	s.machines.set(name, &m)
	if old.Attempt.Token != "" && old.Attempt.Token != m.Attempt.Token {
		s.byToken.remove(old.Attempt.Token)
	}
	if m.Attempt.Token != "" {
		if m.Speaks() {
			s.byToken.set(m.Attempt.Token, name)
		} else {
			s.byToken.remove(m.Attempt.Token)
		}
	}
	return nil
}

// Speaks reports whether the attempt's token still means something: until
// the machine is verified, so that its first boot can report, and after a
// failure, so that its evidence arrives.
func (m *Machine) Speaks() bool {
	switch m.Phase {
	case PhaseBooting, PhaseInstalling, PhaseInstalled, PhaseReady, PhaseFailed:
		return true
	default:
		return false
	}
}

func (s *State) changeAttempt(name string, attempt int, edit func(*Machine)) error {
	return s.change(name, func(m *Machine) error {
		if attempt != m.Attempt.Number {
			return fmt.Errorf("%s is at attempt %d, not %d", name, m.Attempt.Number, attempt)
		}
		if !m.Speaks() {
			return fmt.Errorf("attempt %d of %s is over: it is %s", attempt, name, m.Phase)
		}
		edit(m)
		return nil
	})
}

func (s *State) applySettings(b PlanApplied) {
	moved := s.Settings.Provision.Network != b.Settings.Provision.Network
	s.Settings, s.PlanDigest = b.Settings, b.Digest
	if !moved {
		return
	}
	for _, m := range s.Machines() {
		s.unindex(m.Node)
	}
	s.byAddr = newMap[netip.Addr, string]()
	for _, m := range s.Machines() {
		s.index(m.Node)
	}
}

func (s *State) applyNode(b NodePlanned, at time.Time) {
	n := b.Node
	old, known := s.machines.Get(n.Name)
	if !known {
		m := &Machine{Node: &n, Phase: PhasePlanned, Since: at, AdoptedBy: b.By}
		s.recognise(m)
		s.machines.set(n.Name, m)
		s.index(&n)
		return
	}
	s.unindex(old.Node)
	m := *old
	m.Node = &n
	s.recognise(&m)
	if b.By != "" || !n.Adopted {
		m.AdoptedBy = b.By
	}
	if old.Node.BMC.Address != n.BMC.Address {
		s.forgetMACs(n.Name)
		m.forgetBMC() // it is another BMC
	}
	switch {
	case m.Phase == PhaseArmed:
		m.enter(PhasePlanned, at)
		m.Arming = Arming{}
	case m.Phase == PhaseHeld && !sameIdentity(old.Node, &n):
		m.enter(PhasePlanned, at) // the plan has answered who it is
		m.Reason = ""
	}
	s.machines.set(n.Name, &m)
	s.index(&n)
}

// recognise takes over what was seen of a machine while it was a stranger.
func (s *State) recognise(m *Machine) {
	for _, mac := range m.Node.MACs {
		if _, seen := s.Strangers.Get(mac); seen {
			m.see(mac)
		}
	}
}

func (s *State) unplan(name string) error {
	m, ok := s.machines.Get(name)
	if !ok {
		return fmt.Errorf("there is no node %s", name)
	}
	s.forgetMACs(name)
	s.unindex(m.Node)
	s.byToken.remove(m.Attempt.Token)
	s.machines.remove(name)
	return nil
}

func (s *State) index(n *Node) {
	for _, m := range n.MACs {
		s.byMAC.set(m, n.Name)
		s.Strangers.remove(m)
	}
	if !n.UUID.Junk() {
		s.byUUID.set(n.UUID, n.Name)
	}
	if n.BMC.MAC != (MAC{}) {
		s.byBMC.set(n.BMC.MAC, n.Name)
	}
	if n.Serial != "" {
		s.bySerial.set(normalSerial(n.Serial), n.Name)
	}
	if a, ok := s.Settings.Address(n); ok {
		s.byAddr.set(a, n.Name)
	}
}

// unindex removes the entries that are still the node's own: in one commit
// two nodes may have exchanged a MAC.
func (s *State) unindex(n *Node) {
	for _, m := range n.MACs {
		if owner, _ := s.byMAC.Get(m); owner == n.Name {
			s.byMAC.remove(m)
		}
	}
	if owner, _ := s.byUUID.Get(n.UUID); owner == n.Name {
		s.byUUID.remove(n.UUID)
	}
	if owner, _ := s.byBMC.Get(n.BMC.MAC); owner == n.Name {
		s.byBMC.remove(n.BMC.MAC)
	}
	if owner, _ := s.bySerial.Get(normalSerial(n.Serial)); owner == n.Name {
		s.bySerial.remove(normalSerial(n.Serial))
	}
	if a, ok := s.Settings.Address(n); ok {
		if owner, _ := s.byAddr.Get(a); owner == n.Name {
			s.byAddr.remove(a)
		}
	}
}

func (s *State) grant(l Lease) {
	if before, ok := s.leaseOf.Get(l.MAC); ok && before != l.Addr {
		s.Leases.remove(before)
	}
	if holder, ok := s.Leases.Get(l.Addr); ok && holder.MAC != l.MAC {
		s.leaseOf.remove(holder.MAC)
	}
	s.Declined.remove(l.Addr)
	s.Leases.set(l.Addr, l)
	s.leaseOf.set(l.MAC, l.Addr)
}

func (s *State) release(m MAC) {
	if a, ok := s.leaseOf.Get(m); ok {
		s.Leases.remove(a)
		s.leaseOf.remove(m)
	}
}

// Printable keeps the printable ASCII of text that a client sent, at most
// limit bytes of it: such text reaches terminals, logs and pages.
func Printable(text string, limit int) string {
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < limit; i++ {
		if c := text[i]; c >= ' ' && c <= '~' {
			b.WriteByte(c)
		}
	}
	return b.String()
}
