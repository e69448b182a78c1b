package site

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
)

// Diff gives the events that take state s to plan p, and none if s is there
// already. The settings come first, because Apply indexes addresses by them;
// then the nodes that leave, then the nodes that are new or changed, each by
// name. A node that was adopted stays, unless the plan names its machine.
//
// Digest identifies the plan as written. Sealing the same secret twice gives
// two values, so a secret of the settings counts as changed when the digest
// does.
func Diff(s *State, p *Plan, digest, by string) []Body {
	var out []Body
	if digest != s.PlanDigest || !sameSettings(s.Settings, p.Settings) {
		out = append(out, PlanApplied{Settings: p.Settings, Digest: digest, Nodes: len(p.Nodes), By: by})
	}
	planned := make(map[string]bool, len(p.Nodes))
	for i := range p.Nodes {
		planned[p.Nodes[i].Name] = true
	}
	named := newNamed(p)
	for _, m := range s.Machines() {
		if !planned[m.Node.Name] && (!m.Node.Adopted || named.names(m.Node)) {
			out = append(out, NodeUnplanned{Name: m.Node.Name})
		}
	}
	return append(out, changedNodes(s, p)...)
}

// named is what the entries of a plan call their machines.
type named struct {
	macs    map[MAC]bool
	serials map[string]bool
	uuids   map[UUID]bool
}

func newNamed(p *Plan) named {
	out := named{macs: map[MAC]bool{}, serials: map[string]bool{}, uuids: map[UUID]bool{}}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		for _, m := range n.MACs {
			out.macs[m] = true
		}
		out.serials[n.Serial], out.uuids[n.UUID] = true, true
	}
	return out
}

// names reports whether an entry of the plan is this adopted node under
// another name.
func (d named) names(n *Node) bool {
	return n.Serial != "" && d.serials[n.Serial] || !n.UUID.Junk() && d.uuids[n.UUID] || slices.ContainsFunc(n.MACs, func(m MAC) bool { return d.macs[m] })
}

func changedNodes(s *State, p *Plan) []Body {
	var changed []*Node
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if m, ok := s.Machine(n.Name); !ok || !sameNode(m.Node, n) {
			changed = append(changed, n)
		}
	}
	slices.SortFunc(changed, func(a, b *Node) int { return cmp.Compare(a.Name, b.Name) })
	out := make([]Body, len(changed))
	for i, n := range changed {
		out[i] = NodePlanned{Node: *n}
	}
	return out
}

func sameSettings(a, b Settings) bool {
	if a.BMC.Password != b.BMC.Password {
		return false
	}
	x, err1 := settingsWithoutSecrets(a)
	y, err2 := settingsWithoutSecrets(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// settingsWithoutSecrets compares as the log would: JSON has one kind of
// number and no difference between an empty map and none.
func settingsWithoutSecrets(s Settings) ([]byte, error) {
	s.Access.Root, s.BMC.Password.Sealed = "", ""
	return json.Marshal(s)
}

// sameNode compares everything that the log keeps of a node. Each field is
// named here because a node that differs loses its arming.
func sameNode(a, b *Node) bool {
	return a.Name == b.Name && a.Role == b.Role && a.Rack == b.Rack && a.U == b.U &&
		slices.Equal(a.MACs, b.MACs) && a.Serial == b.Serial && a.UUID == b.UUID &&
		maps.Equal(a.Addresses, b.Addresses) && a.BMC == b.BMC &&
		sameDisks(a.Disks, b.Disks) && maps.Equal(a.NICs, b.NICs) && sameHardware(a.Hardware, b.Hardware) &&
		a.Image == b.Image && a.LocalBoot == b.LocalBoot && a.Adopted == b.Adopted && sameSet(a.Set, b.Set)
}

func sameDisks(a, b Disks) bool {
	return a.OSDPolicy == b.OSDPolicy && slices.EqualFunc(a.System, b.System, sameDisk) &&
		slices.EqualFunc(a.OSD, b.OSD, sameDisk) && slices.EqualFunc(a.OSDDB, b.OSDDB, sameDisk)
}

func sameHardware(a, b Hardware) bool {
	lists := slices.Equal(a.NUMA, b.NUMA) && slices.Equal(a.CPUFlags, b.CPUFlags) && slices.Equal(a.Disks, b.Disks)
	a.NUMA, a.CPUFlags, a.Disks, b.NUMA, b.CPUFlags, b.Disks = nil, nil, nil, nil, nil, nil
	return lists && reflect.DeepEqual(a, b)
}

func sameDisk(a, b DiskSelector) bool {
	x, y := a.Rotational, b.Rotational
	a.Rotational, b.Rotational = nil, nil
	return a == b && (x == y || x != nil && y != nil && *x == *y)
}

func sameSet(a, b map[string]any) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
