package boot

import (
	"fmt"

	"github.com/rackseed/rackseed/pkg/site"
)

// Identity is what a machine claims of itself. Every field is a claim: it
// can be wrong, shared with other boards, or forged.
type Identity struct {
	MAC    site.MAC
	UUID   site.UUID // zero if not told
	Serial string    // empty if not told, or junk
}

// ConflictError means that the claims of one machine fit two nodes, or
// contradict the plan: a board was swapped, a MAC was mistyped, or somebody
// lies. Such a machine is given nothing to install.
type ConflictError struct {
	Node   string // the node that it claims to be
	Reason string // a question, and the commands that answer it
	// Rival is the port of the machine that is Node: the one that is being
	// installed as it, or that was seen. Then the newcomer alone is refused;
	// otherwise Node has to wait for an answer.
	Rival site.MAC
}

func (e *ConflictError) Error() string { return e.Reason }

// Identify finds the node that a machine is, nil if the plan names none.
func Identify(s *site.State, id Identity) (*site.Machine, error) {
	m, ok := s.MachineByMAC(id.MAC)
	byUUID, uuidKnown := s.MachineByUUID(id.UUID)
	bySerial, serialKnown := s.MachineBySerial(id.Serial)
	switch {
	case ok:
	case uuidKnown && serialKnown && byUUID != bySerial:
		return nil, &ConflictError{Node: byUUID.Node.Name, Reason: fmt.Sprintf(
			"a machine with MAC %s claims the UUID of %s and the serial number of %s: check both against the plan; %s", id.MAC, byUUID.Node.Name, bySerial.Node.Name, answers(byUUID))}
	case uuidKnown:
		m = byUUID
	case serialKnown:
		m = bySerial
	default:
		return nil, nil
	}
	if err := contradiction(m, id, byUUID, bySerial); err != nil {
		return m, err
	}
	return m, rivalry(s, m, id)
}

// answers are the two ways to answer a question about m.
func answers(m *site.Machine) string {
	name := m.Node.Name
	return fmt.Sprintf("if it is %[1]s, correct its entry and `rackseed plan apply FILE`; if it is not, take it off this network and `rackseed disarm %[1]s`; then `rackseed install %[1]s`", name)
}

// ports are the ways to answer the question whose port mac is.
func ports(m *site.Machine, mac site.MAC) string {
	own := fmt.Sprintf("add %s to macs: of %s and `rackseed plan apply FILE`", mac, m.Node.Name)
	if m.Node.Adopted {
		own = fmt.Sprintf("`rackseed node set %s --add-mac %s`", m.Node.Name, mac)
	}
	return fmt.Sprintf("if it is another port of %s, or its new NIC, %s; if it is another machine, `rackseed node adopt %s`, and take the uuid: that both have out of the plan", m.Node.Name, own, mac)
}

func contradiction(m *site.Machine, id Identity, byUUID, bySerial *site.Machine) error {
	name := m.Node.Name
	conflict := func(format string, args ...any) error {
		return &ConflictError{Node: name, Reason: fmt.Sprintf(format, args...) + " " + answers(m)}
	}
	found, _ := m.InventoryFrom(site.FromBMC)
	switch {
	case byUUID != nil && byUUID != m:
		return conflict("a machine with the MAC %s of %s claims the UUID of %s: was a NIC moved between them?", id.MAC, name, byUUID.Node.Name)
	case bySerial != nil && bySerial != m:
		return conflict("a machine with the MAC %s of %s claims the serial number of %s: was a NIC moved between them?", id.MAC, name, bySerial.Node.Name)
	case m.Node.Serial != "" && id.Serial != "" && id.Serial != m.Node.Serial:
		return conflict("%s has serial number %s in the plan, but the machine with MAC %s says %s: was a board or a NIC exchanged?", name, m.Node.Serial, id.MAC, id.Serial)
	case !m.Node.UUID.IsZero() && !id.UUID.IsZero() && id.UUID != m.Node.UUID:
		return conflict("%s has UUID %s in the plan, but the machine with MAC %s says %s: was a board or a NIC exchanged?", name, m.Node.UUID, id.MAC, id.UUID)
	case m.Node.Serial == "" && id.Serial != "" && !site.JunkSerial(found.Serial) && found.Serial != id.Serial:
		return conflict("the BMC of %s gives serial number %s, but the machine with MAC %s says %s: was a board or a NIC exchanged?", name, found.Serial, id.MAC, id.Serial)
	}
	return nil
}

// rivalry finds two machines that claim to be m. Any port of a machine may
// boot it; a port that neither the plan nor its BMC knows is in doubt where
// the BMC lists them all, or while another one is being installed as m.
func rivalry(s *site.State, m *site.Machine, id Identity) error {
	name, from := m.Node.Name, m.Attempt.MAC
	own := func(mac site.MAC) bool { return s.Owns(m, mac) }
	found, _ := m.InventoryFrom(site.FromBMC)
	elsewhere := m.Running() && from != id.MAC && from != (site.MAC{})
	seen, known := s.SeenPort(m)
	switch {
	case elsewhere && own(from) && !own(id.MAC):
		return &ConflictError{Node: name, Rival: from, Reason: fmt.Sprintf(
			"two machines claim to be %[1]s: %[2]s, which is being installed, and %[3]s, which the plan does not know and which is refused; if they are one, add %[3]s to the MACs of %[1]s", name, from, id.MAC)}
	case elsewhere && !own(from) && own(id.MAC):
		return &ConflictError{Node: name, Reason: fmt.Sprintf(
			"two machines claim to be %[1]s: %[2]s, which was being installed and which the plan does not know, and %[3]s, which it does; if they are one, add %[2]s to the MACs of %[1]s; %[4]s", name, from, id.MAC, answers(m))}
	case elsewhere && !own(from):
		return &ConflictError{Node: name, Rival: from, Reason: fmt.Sprintf(
			"two machines claim to be %[1]s: %[2]s, which is being installed, and %[3]s, which is refused; the plan knows neither port: %[4]s", name, from, id.MAC, ports(m, id.MAC))}
	case known && !own(id.MAC) && !(m.Running() && from == id.MAC):
		return &ConflictError{Node: name, Rival: seen, Reason: fmt.Sprintf(
			"a machine with MAC %[3]s claims to be %[1]s, whose own port %[2]s was seen: it gets nothing that is %[1]s's; %[4]s", name, seen, id.MAC, ports(m, id.MAC))}
	case !own(id.MAC) && len(found.MACs()) > 0:
		return &ConflictError{Node: name, Reason: fmt.Sprintf(
			"a machine with MAC %[2]s claims to be %[1]s, whose BMC lists its ports without it: was a NIC exchanged, or do two machines have one identity? If it is %[1]s, add %[2]s to its MACs; %[3]s", name, id.MAC, answers(m))}
	}
	return nil
}
