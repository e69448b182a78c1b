// Package discovery decides what follows from a machine that was looked at:
// which rule adopts it, what node it becomes, and what its agent is told to
// do next. It is pure.
package discovery

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

// Wish is what an operator, or a rule, wants a machine to become.
type Wish struct {
	Name      string
	Role      string
	Rack      string
	U         int
	BMC       string // address
	Image     string
	Addresses map[string]netip.Addr // by network
	By        string                // who wishes
}

// Adopt gives the events that make a stranger a node of the plan. The error
// is an install.Refusal with the next step.
func Adopt(s *site.State, st site.Stranger, w Wish) ([]site.Body, error) {
	n := node(st, w)
	if err := mayAdopt(s, &n); err != nil {
		return nil, err
	}
	bodies := []site.Body{site.NodePlanned{Node: n, By: w.By}}
	if st.Inventory != nil {
		bodies = append(bodies, site.NodeInventoried{Node: n.Name, Inventory: *st.Inventory})
	}
	return bodies, nil
}

// node is known by everything that was found, the port that booted first.
func node(st site.Stranger, w Wish) site.Node {
	n := site.Node{
		Name: w.Name, Role: w.Role, Rack: w.Rack, U: w.U, Image: w.Image, Addresses: w.Addresses,
		MACs: []site.MAC{st.MAC}, BMC: site.BMC{Address: w.BMC}, Adopted: true,
	}
	i := st.Inventory
	if i == nil {
		return n
	}
	for _, mac := range i.MACs() {
		if !slices.Contains(n.MACs, mac) {
			n.MACs = append(n.MACs, mac)
		}
	}
	if !site.JunkSerial(i.Serial) {
		n.Serial = i.Serial
	}
	if !i.UUID.Junk() {
		n.UUID = i.UUID
	}
	n.Hardware = i.Hardware
	if n.BMC.Address == "" && i.BMC.Address.IsValid() && !i.BMC.Address.IsUnspecified() {
		n.BMC.Address = i.BMC.Address.String()
	}
	return n
}

func mayAdopt(s *site.State, n *site.Node) error {
	if m, taken := s.Machine(n.Name); taken {
		return install.Refusal(fmt.Sprintf("the name %s is taken by the node with %s: choose another name", n.Name, identity(m.Node)))
	}
	for _, m := range s.Machines() {
		if m.Node.Claims(n) {
			return install.Refusal(fmt.Sprintf("this machine is %s already (%s): `rackseed node show %s`", m.Node.Name, identity(m.Node), m.Node.Name))
		}
	}
	return Fits(s, n)
}

func identity(n *site.Node) string {
	var words []string
	if n.Serial != "" {
		words = append(words, "serial "+n.Serial)
	}
	for _, m := range n.MACs {
		words = append(words, m.String())
	}
	return cmp.Or(strings.Join(words, ", "), "no MAC and no serial number")
}

// Fits refuses a node that brings an error into the plan in force: its
// findings are those of `rackseed plan check`.
func Fits(s *site.State, n *site.Node) error {
	before := map[string]bool{}
	plan := s.Plan()
	for _, f := range plan.Check() {
		before[f.ID+f.Message] = true
	}
	at := slices.IndexFunc(plan.Nodes, func(other site.Node) bool { return other.Name == n.Name })
	if at >= 0 {
		plan.Nodes[at] = *n
	} else {
		plan.Nodes = append(plan.Nodes, *n)
	}
	for _, f := range plan.Check() {
		if f.Severity == site.SeverityError && !before[f.ID+f.Message] {
			return install.Refusal(fmt.Sprintf("%s does not fit the plan: %s: %s", n.Name, f.Message, f.Fix))
		}
	}
	return nil
}

// Found gives the events of an inventory that an agent sent: it is recorded,
// if it says anything new, and the first rule that fits adopts the machine.
// Why says what came of the rules, for the log and the console.
//
// The machine is the node that it booted as, or that its port belongs to;
// what it claims besides in its inventory makes it nobody.
func Found(s *site.State, mac site.MAC, node string, i site.Inventory) (bodies []site.Body, why string) {
	m, ok := s.Machine(node)
	if !ok {
		m, ok = s.MachineByMAC(mac)
	}
	if ok {
		return []site.Body{site.NodeInventoried{Node: m.Node.Name, Inventory: i}}, "recorded for " + m.Node.Name
	}
	bodies = []site.Body{site.StrangerInventoried{MAC: mac, Inventory: i}}
	wish, rule, ok := match(s, mac, i)
	if !ok {
		return bodies, "no rule of the plan fits it"
	}
	adopted, err := Adopt(s, site.Stranger{MAC: mac, Inventory: &i}, wish)
	if err != nil {
		return bodies, fmt.Sprintf("rule %s fits it, but does not adopt it: %v", rule, err)
	}
	return append(bodies, adopted...), fmt.Sprintf("rule %s made it %s", rule, wish.Name)
}

// MayLook refuses to look at a node that is, or is about to be, installed, or
// for which there is nothing to look with.
func MayLook(s *site.State, m *site.Machine) error {
	name, image := m.Node.Name, boot.ImageForDiscovery(s, m.Node)
	switch {
	case m.Running():
		return install.Refusal(fmt.Sprintf("%s is being installed: wait for it, or `rackseed disarm %s` first", name, name))
	case m.Phase == site.PhaseArmed:
		return install.Refusal(fmt.Sprintf("%s is armed, and installs when it next boots: `rackseed disarm %s` first", name, name))
	case m.Phase == site.PhaseHeld:
		return install.Refusal(fmt.Sprintf("%s is held (%s): `rackseed disarm %s` ends the hold", name, m.Reason, name))
	case image == "":
		return install.Refusal("the discovery runs in the kernel of an image, and the plan names none: add discovery: {image: NAME}")
	}
	if _, ok := s.Images.Get(image); !ok {
		return install.Refusal(fmt.Sprintf("the discovery runs in the kernel of image %s, which is not in the library: `rackseed image add FILE.iso --name %s`", image, image))
	}
	return nil
}

// FitsPlan refuses a plan under which adopted nodes that stay would be wrong.
func FitsPlan(p *site.Plan, kept []site.Node) error {
	if len(kept) == 0 {
		return nil
	}
	before := map[string]bool{}
	for _, f := range p.Check() {
		before[f.ID+f.Message] = true
	}
	whole := *p
	whole.Nodes = append(slices.Clone(p.Nodes), kept...)
	for _, f := range whole.Check() {
		if f.Severity == site.SeverityError && !before[f.ID+f.Message] {
			return install.Refusal(fmt.Sprintf("a node that was adopted does not fit this plan: %s: %s; or write it into the plan, or `rackseed node remove NAME`", f.Message, f.Fix))
		}
	}
	return nil
}
