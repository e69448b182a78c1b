package discovery

import (
	"time"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/site"
)

// Order is what a machine in the discovery does next.
type Order string

// The orders.
const (
	Wait   Order = "wait"   // and ask again
	Report Order = "report" // look again and send what is found
	Reboot Order = "reboot"
)

// Next says what a machine that runs the discovery does now. Node is its name
// if an operator wanted to look at a node, which then goes back to what it
// was; begun is when this boot of it began.
func Next(s *site.State, mac site.MAC, node string, begun, now time.Time) (Order, string) {
	m, known := s.MachineByMAC(mac)
	if node != "" {
		m, known = s.Machine(node)
	}
	switch {
	case !known && node != "":
		return Reboot, "the plan no longer names " + node
	case !known && inventoried(s, mac, begun):
		return Wait, "waiting to be adopted: rackseed node adopt " + mac.String() + " --name NAME --role ROLE"
	case !known:
		return Report, "nothing is known of this machine"
	}
	d := boot.For(s, m, now)
	switch {
	case d.Action == boot.Install:
		return Reboot, "this is " + m.Node.Name + ", and it is " + d.Why
	case node == "":
		return Wait, "this is " + m.Node.Name + " now; waiting to be armed: rackseed install " + m.Node.Name
	case d.Action == boot.Discover:
		return Report, m.Node.Name + " is to be looked at"
	default:
		return Reboot, m.Node.Name + " was looked at"
	}
}

// inventoried reports whether what this boot found has arrived.
func inventoried(s *site.State, mac site.MAC, begun time.Time) bool {
	st, ok := s.Strangers.Get(mac)
	return ok && st.Inventory != nil && st.Inventory.At.After(begun)
}
