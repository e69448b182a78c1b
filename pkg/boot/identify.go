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
	Node   string // the node that its MAC belongs to
	Reason string
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
			"a machine with MAC %s claims the UUID of %s and the serial number of %s: check both against the plan", id.MAC, byUUID.Node.Name, bySerial.Node.Name)}
	case uuidKnown:
		m = byUUID
	case serialKnown:
		m = bySerial
	default:
		return nil, nil
	}
	return m, contradiction(m, id, byUUID, bySerial)
}

func contradiction(m *site.Machine, id Identity, byUUID, bySerial *site.Machine) error {
	name := m.Node.Name
	conflict := func(format string, args ...any) error {
		return &ConflictError{Node: name, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case byUUID != nil && byUUID != m:
		return conflict("a machine with the MAC %s of %s claims the UUID of %s: check both against the plan", id.MAC, name, byUUID.Node.Name)
	case bySerial != nil && bySerial != m:
		return conflict("a machine with the MAC %s of %s claims the serial number of %s: check both against the plan", id.MAC, name, bySerial.Node.Name)
	case m.Node.Serial != "" && id.Serial != "" && id.Serial != m.Node.Serial:
		return conflict("%s has serial number %s in the plan, but the machine with MAC %s says %s: was a board or a NIC exchanged?", name, m.Node.Serial, id.MAC, id.Serial)
	case !m.Node.UUID.IsZero() && !id.UUID.IsZero() && id.UUID != m.Node.UUID:
		return conflict("%s has UUID %s in the plan, but the machine with MAC %s says %s: was a board or a NIC exchanged?", name, m.Node.UUID, id.MAC, id.UUID)
	}
	return nil
}
