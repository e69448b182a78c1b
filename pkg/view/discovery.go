package view

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/site"
)

// NodeRequest asks for a machine that the plan does not name to become a node.
type NodeRequest struct {
	Who       string                `json:"who"` // a MAC, or the serial number that its discovery reported
	Name      string                `json:"name"`
	Role      string                `json:"role"`
	Rack      string                `json:"rack,omitempty"`
	U         int                   `json:"u,omitempty"`
	BMC       string                `json:"bmc,omitempty"` // address
	Image     string                `json:"image,omitempty"`
	Addresses map[string]netip.Addr `json:"addresses,omitempty"` // by network name
	By        string                `json:"by,omitempty"`
}

// NodeChange is what is to change about an adopted node; what it leaves out
// stays.
type NodeChange struct {
	Role  *string `json:"role,omitempty"`
	Rack  *string `json:"rack,omitempty"`
	U     *int    `json:"u,omitempty"`
	BMC   *string `json:"bmc,omitempty"` // address
	Image *string `json:"image,omitempty"`

	AddMAC site.MAC `json:"add_mac,omitzero"` // of another port of it
	By     string   `json:"by,omitempty"`
}

// DiscoverRequest asks for a look at a node when it next boots from the
// network.
type DiscoverRequest struct {
	By  string        `json:"by,omitempty"`
	For time.Duration `json:"for,omitempty"` // nanoseconds that the wish waits; zero means four hours
}

// Cabling is how the cables of one node compare with the plan.
type Cabling struct {
	Node     string            `json:"node"`
	Source   string            `json:"source,omitempty"` // discovery or installer; empty if nobody has looked yet
	At       time.Time         `json:"at,omitzero"`
	Findings []cabling.Finding `json:"findings"`
	Ports    []CabledPort      `json:"ports"`
}

// CabledPort is a port of a machine and where its cable ends.
type CabledPort struct {
	Name      string         `json:"name,omitempty"` // in the plan; empty if it has none
	MAC       site.MAC       `json:"mac,omitzero"`
	Planned   site.Neighbour `json:"planned,omitzero"`
	Neighbour site.Neighbour `json:"neighbour,omitzero"`
	Link      string         `json:"link,omitempty"`
	Speed     int            `json:"speed,omitempty"` // Mbit/s
}

// AdoptedNodes are the nodes that no plan file names.
type AdoptedNodes struct {
	Nodes []site.Node `json:"nodes"`
}

// StrangerOf is how a machine stands that the plan does not name.
func StrangerOf(s *site.State, st site.Stranger, now time.Time) Node {
	d := boot.For(s, nil, now)
	n := Node{Name: st.MAC.String(), State: site.PhaseSeen, Since: st.First, MACs: []site.MAC{st.MAC}, Detail: st.Arch, Next: string(d.Action), Why: d.Why}
	if i := st.Inventory; i != nil {
		n.Serial, n.UUID, n.Model = i.Serial, i.UUID, i.Model
		n.Detail = strings.TrimPrefix(st.Arch+", "+known(*i), ", ")
	}
	if c, ok := st.BMC(); ok {
		n.asBMC(s, st, c, now)
	}
	return n
}

// known puts a machine into a few words.
func known(i site.Inventory) string {
	words := []string{strings.TrimSpace(i.Manufacturer + " " + i.Model)}
	if i.Serial != "" {
		words = append(words, "serial "+i.Serial)
	}
	h := i.Hardware
	words = append(words, fmt.Sprintf("%d CPUs, %d GiB, %d disks, %d ports", h.CPUs(), h.Memory>>30, len(h.Disks), len(i.NICs)))
	for _, n := range i.NICs {
		if n.Neighbour.Switch != "" {
			words = append(words, "in "+n.Neighbour.Switch+" "+n.Neighbour.Port)
			break
		}
	}
	return strings.TrimPrefix(strings.Join(words, ", "), ", ")
}

// Detail adds what was found of one machine.
func Detail(s *site.State, m *site.Machine, now time.Time) Node {
	n := NodeOf(s, m, now)
	if len(m.Inventories) > 0 {
		i := m.Inventory()
		n.Inventory, n.Model = &i, i.Model
	}
	n.Cabling = CablingOf(s, m).Findings
	return n
}

// CablingOf compares the cables of a node with the plan.
func CablingOf(s *site.State, m *site.Machine) Cabling {
	c := Cabling{Node: m.Node.Name, Findings: []cabling.Finding{}, Ports: []CabledPort{}}
	findings, found, ok := cabling.Of(s, m)
	if !ok {
		return c
	}
	c.Source, c.At = string(found.Source), found.At
	c.Findings = append(c.Findings, findings...)
	for _, p := range cabling.Ports(s, m.Node, found) {
		c.Ports = append(c.Ports, CabledPort{
			Name: p.Name, MAC: p.Found.MAC, Planned: site.Neighbour{Switch: p.Planned.Switch, Port: p.Planned.Port},
			Neighbour: p.Found.Neighbour, Link: p.Found.Link, Speed: p.Found.Speed,
		})
	}
	return c
}
