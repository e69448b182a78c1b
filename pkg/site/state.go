package site

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// State is the fold of the log up to Seq. A published State is immutable;
// Fork gives a copy that may be folded further.
type State struct {
	Seq        uint64
	Settings   Settings
	PlanDigest string // empty until a plan is applied
	PlanSeq    uint64 // of the event that last changed the settings or the nodes
	Leases     Map[netip.Addr, Lease]
	Declined   Map[netip.Addr, time.Time]
	Images     Map[string, Image] // by name
	Strangers  Map[MAC, Stranger]
	Ladders    Map[MAC, Ladder]
	Jobs       Map[string, *Job] // by ID
	JobNodes   Map[JobKey, JobNode]
	Access     Map[string, BMCAccess] // by node name

	machines Map[string, *Machine] // by node name
	byMAC    Map[MAC, string]
	learned  Map[MAC, []string] // the nodes whose BMC names it
	byBMC    Map[MAC, string]   // by the MAC that the plan gives a BMC
	byUUID   Map[UUID, string]
	bySerial Map[string, string]
	byAddr   Map[netip.Addr, string] // reserved addresses of the provisioning network
	byToken  Map[string, string]     // token hash of a running attempt → node
	leaseOf  Map[MAC, netip.Addr]
}

// NewState is the state of an empty log.
func NewState() *State {
	return &State{
		Leases:    newMap[netip.Addr, Lease](),
		Declined:  newMap[netip.Addr, time.Time](),
		Images:    newMap[string, Image](),
		Strangers: newMap[MAC, Stranger](),
		Ladders:   newMap[MAC, Ladder](),
		Jobs:      newMap[string, *Job](),
		JobNodes:  newMap[JobKey, JobNode](),
		Access:    newMap[string, BMCAccess](),
		machines:  newMap[string, *Machine](),
		byMAC:     newMap[MAC, string](),
		learned:   newMap[MAC, []string](),
		byBMC:     newMap[MAC, string](),
		byUUID:    newMap[UUID, string](),
		bySerial:  newMap[string, string](),
		byAddr:    newMap[netip.Addr, string](),
		byToken:   newMap[string, string](),
		leaseOf:   newMap[MAC, netip.Addr](),
	}
}

// Fork gives a State that can be folded further without changing s.
func (s *State) Fork() *State {
	return &State{
		Seq: s.Seq, Settings: s.Settings, PlanDigest: s.PlanDigest, PlanSeq: s.PlanSeq,
		Leases: s.Leases.fork(), Declined: s.Declined.fork(), Images: s.Images.fork(), Strangers: s.Strangers.fork(), Ladders: s.Ladders.fork(),
		Jobs: s.Jobs.fork(), JobNodes: s.JobNodes.fork(), Access: s.Access.fork(),
		machines: s.machines.fork(), byMAC: s.byMAC.fork(), learned: s.learned.fork(), byBMC: s.byBMC.fork(), byUUID: s.byUUID.fork(), bySerial: s.bySerial.fork(),
		byAddr: s.byAddr.fork(), byToken: s.byToken.fork(), leaseOf: s.leaseOf.fork(),
	}
}

// Machine finds a node by name.
func (s *State) Machine(name string) (*Machine, bool) { return s.machines.Get(name) }

// MachineByMAC finds the node that the plan gives this MAC, or whose BMC
// named it.
func (s *State) MachineByMAC(m MAC) (*Machine, bool) {
	if found, ok := s.named(s.byMAC.Get(m)); ok {
		return found, true
	}
	return s.machineByLearned(m)
}

// MachineByUUID finds the node that the plan gives this SMBIOS UUID.
func (s *State) MachineByUUID(u UUID) (*Machine, bool) { return s.named(s.byUUID.Get(u)) }

// MachineBySerial finds the node that the plan gives this serial number.
func (s *State) MachineBySerial(serial string) (*Machine, bool) {
	return s.named(s.bySerial.Get(normalSerial(serial)))
}

// MachineByToken finds the node whose running attempt has this token hash.
func (s *State) MachineByToken(hash string) (*Machine, bool) { return s.named(s.byToken.Get(hash)) }

// MachineByAddr finds the node that the plan gives this provisioning address.
func (s *State) MachineByAddr(a netip.Addr) (*Machine, bool) { return s.named(s.byAddr.Get(a)) }

func (s *State) named(name string, ok bool) (*Machine, bool) {
	if !ok {
		return nil, false
	}
	return s.machines.Get(name)
}

// LeaseOf is the pool lease that a MAC was last given; it may have run out.
func (s *State) LeaseOf(m MAC) (Lease, bool) {
	a, ok := s.leaseOf.Get(m)
	if !ok {
		return Lease{}, false
	}
	return s.Leases.Get(a)
}

// Len counts the planned nodes.
func (s *State) Len() int { return s.machines.Len() }

// Machines lists the planned nodes by name.
func (s *State) Machines() []*Machine {
	all := make([]*Machine, 0, s.machines.Len())
	for _, m := range s.machines.All() {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *Machine) int { return cmp.Compare(a.Node.Name, b.Node.Name) })
	return all
}

// ImageByDigest finds an image by its content.
func (s *State) ImageByDigest(digest string) (Image, bool) {
	for _, i := range s.Images.All() {
		if i.Digest == digest {
			return i, true
		}
	}
	return Image{}, false
}

// Plan is the plan in force, nodes by name.
func (s *State) Plan() *Plan {
	p := &Plan{Settings: s.Settings}
	for _, m := range s.Machines() {
		p.Nodes = append(p.Nodes, *m.Node)
	}
	return p
}

// snapshot is a State at rest: the facts, without the indexes over them.
type snapshot struct {
	Seq        uint64                   `json:"seq"`
	Settings   Settings                 `json:"settings"`
	PlanDigest string                   `json:"plan_digest"`
	PlanSeq    uint64                   `json:"plan_seq,omitempty"`
	Machines   []*Machine               `json:"machines"`
	Leases     []Lease                  `json:"leases"`
	Declined   map[netip.Addr]time.Time `json:"declined"`
	Images     []Image                  `json:"images"`
	Strangers  []Stranger               `json:"strangers"`
	Ladders    []Ladder                 `json:"ladders,omitempty"`
	Jobs       []jobRecord              `json:"jobs,omitempty"`
	Access     map[string]BMCAccess     `json:"bmc_access,omitempty"`
}

// MarshalJSON writes what UnmarshalJSON restores.
func (s *State) MarshalJSON() ([]byte, error) {
	snap := snapshot{Seq: s.Seq, Settings: s.Settings, PlanDigest: s.PlanDigest, PlanSeq: s.PlanSeq, Machines: s.Machines(), Declined: map[netip.Addr]time.Time{}}
	for _, l := range s.Leases.All() {
		snap.Leases = append(snap.Leases, l)
	}
	slices.SortFunc(snap.Leases, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	for a, t := range s.Declined.All() {
		snap.Declined[a] = t
	}
	for _, i := range s.Images.All() {
		snap.Images = append(snap.Images, i)
	}
	slices.SortFunc(snap.Images, func(a, b Image) int { return cmp.Compare(a.Name, b.Name) })
	for _, st := range s.Strangers.All() {
		snap.Strangers = append(snap.Strangers, st)
	}
	slices.SortFunc(snap.Strangers, func(a, b Stranger) int { return slices.Compare(a.MAC[:], b.MAC[:]) })
	snap.Ladders = s.ladderRecords()
	snap.Jobs = s.jobRecords()
	snap.Access = maps.Collect(s.Access.All())
	return json.Marshal(snap)
}

// UnmarshalJSON restores a state and builds its indexes.
func (s *State) UnmarshalJSON(data []byte) error {
	var snap snapshot
	if err := json.Unmarshal(data, &snap); err != nil {
		return fmt.Errorf("reading the snapshot: %w", err)
	}
	*s = *NewState()
	s.Seq, s.Settings, s.PlanDigest, s.PlanSeq = snap.Seq, snap.Settings, snap.PlanDigest, snap.PlanSeq
	for i, m := range snap.Machines {
		if m == nil || m.Node == nil || m.Node.Name == "" {
			return fmt.Errorf("reading the snapshot: machine %d is no node", i+1)
		}
		s.machines.set(m.Node.Name, m)
		s.index(m.Node)
		if m.Attempt.Token != "" && m.Speaks() {
			s.byToken.set(m.Attempt.Token, m.Node.Name)
		}
	}
	for _, m := range snap.Machines {
		bmc, _ := m.InventoryFrom(FromBMC)
		s.learnMACs(m.Node.Name, bmc.MACs())
	}
	for _, l := range snap.Leases {
		s.Leases.set(l.Addr, l)
		s.leaseOf.set(l.MAC, l.Addr)
	}
	for a, t := range snap.Declined {
		s.Declined.set(a, t)
	}
	for _, i := range snap.Images {
		s.Images.set(i.Name, i)
	}
	for _, st := range snap.Strangers {
		s.Strangers.set(st.MAC, st)
	}
	for _, l := range snap.Ladders {
		s.Ladders.set(l.MAC, l)
	}
	if err := s.restoreJobs(snap.Jobs); err != nil {
		return err
	}
	for node, a := range snap.Access {
		s.Access.set(node, a)
	}
	return nil
}
