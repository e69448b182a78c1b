package site

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// BootRung is a way to tell firmware of a boot file beside the network's own
// DHCP server. Firmware differs in which of them it understands.
type BootRung string

// The rungs.
const (
	// RungBypass has option 43 say that the file of this very offer is to be
	// taken (PXE 2.1 table 2-1, discovery control bit 3).
	RungBypass BootRung = "bypass"
	// RungBootServer offers no file: the client asks at port 4011.
	RungBootServer BootRung = "boot-server"
	// RungPlain offers the file without option 43.
	RungPlain BootRung = "plain"
	// RungFull gives the machine its planned address, too, as the only one.
	RungFull BootRung = "full"
)

// Ladder is what was found out about how a machine boots beside another DHCP
// server.
type Ladder struct {
	MAC    MAC       `json:"mac"`
	Rung   BootRung  `json:"rung"`
	Worked bool      `json:"worked,omitempty"` // the machine came for its file
	Model  string    `json:"model,omitempty"`  // of the machine, if it is known
	Since  time.Time `json:"since"`
}

// BootLadderStepped tries another rung: the machine asked again and again,
// and did not come for its file.
type BootLadderStepped struct {
	Node string   `json:"node"`
	MAC  MAC      `json:"mac"`
	From BootRung `json:"from"`
	To   BootRung `json:"to"`
}

// BootLadderWorked remembers the rung on which the machine came for its file.
type BootLadderWorked struct {
	Node  string   `json:"node"`
	MAC   MAC      `json:"mac"`
	Rung  BootRung `json:"rung"`
	Model string   `json:"model,omitempty"`
}

// The names of the bodies in the log, and their subjects.
func (BootLadderStepped) Kind() string      { return "boot-ladder-stepped" }
func (BootLadderWorked) Kind() string       { return "boot-ladder-worked" }
func (e BootLadderStepped) Subject() string { return e.Node }
func (e BootLadderWorked) Subject() string  { return e.Node }

// ModelOf names the make of a machine as its inventory does; empty when
// nobody looked.
func (m *Machine) ModelOf() string {
	i := m.Inventory()
	if i.Model == "" {
		return ""
	}
	return Printable(i.Manufacturer+" "+i.Model, 128)
}

// LadderOf is what is known of a MAC, and for a MAC that was never seen to
// need it, the rung that worked for most machines of its model.
func (s *State) LadderOf(mac MAC, model string) (l Ladder, ofModel, ok bool) {
	if l, ok := s.Ladders.Get(mac); ok {
		return l, false, true
	}
	if model == "" {
		return Ladder{}, false, false
	}
	counts := map[BootRung]int{}
	for _, l := range s.Ladders.All() {
		if l.Worked && l.Model == model {
			counts[l.Rung]++
		}
	}
	best := BootRung("")
	for r, n := range counts {
		if best == "" || n > counts[best] || n == counts[best] && r < best {
			best = r
		}
	}
	return Ladder{MAC: mac, Rung: best, Model: model}, true, best != ""
}

func (s *State) applyLadder(e Event) error {
	switch b := e.Body.(type) {
	case BootLadderStepped:
		if _, ok := s.Machine(b.Node); !ok {
			return fmt.Errorf("there is no node %s", b.Node)
		}
		s.Ladders.set(b.MAC, Ladder{MAC: b.MAC, Rung: b.To, Since: e.At})
	case BootLadderWorked:
		s.Ladders.set(b.MAC, Ladder{MAC: b.MAC, Rung: b.Rung, Worked: true, Model: b.Model, Since: e.At})
	default:
		return fmt.Errorf("no rule folds a %T", e.Body)
	}
	return nil
}

// ladderRecords are the ladders at rest.
func (s *State) ladderRecords() []Ladder {
	var all []Ladder
	for _, l := range s.Ladders.All() {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Ladder) int { return cmp.Or(slices.Compare(a.MAC[:], b.MAC[:])) })
	return all
}
