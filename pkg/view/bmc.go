package view

import (
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// KindBMC is the kind of a stranger that is recognised as a BMC.
const KindBMC = "bmc"

// asBMC says what is known of a stranger that seems to be a BMC, and what an
// operator can do with it. Nobody probes it before.
func (n *Node) asBMC(s *site.State, st site.Stranger, c site.Controller, now time.Time) {
	words := []string{"BMC"}
	if c.Likely {
		words[0] = "perhaps a BMC"
	}
	words = append(words, c.Maker, c.Why)
	if c.Serial != "" {
		words = append(words, "serial "+c.Serial)
	}
	n.Kind, n.Serial = KindBMC, c.Serial
	m, planned := s.MachineOfBMC(st.MAC, c)
	if planned {
		n.BMCOf = m.Node.Name
		words = append(words, "that of "+m.Node.Name)
	}
	n.Detail = strings.Join(words, ", ")
	lease, leased := s.LeaseOf(st.MAC)
	switch {
	case leased && now.Before(lease.Until):
		n.Address = lease.Addr
		n.Why = "it has " + lease.Addr.String() + " from us: `rackseed inventory --bmc " + lease.Addr.String() + " --user NAME --password-file FILE --adopt` asks it who it is"
	default:
		n.Why = "it asks for an address and gets none from us: add bmc_pool to its network, or give it one elsewhere"
	}
}

// AdoptRequest asks that planned nodes use the BMCs that were found to be
// theirs, by serial number, UUID or MAC.
type AdoptRequest struct {
	BMCs   []FoundBMC `json:"bmcs"`
	By     string     `json:"by"`
	DryRun bool       `json:"dry_run,omitempty"`
}

// FoundBMC is a BMC that an operator asked, with what it told.
type FoundBMC struct {
	Address   string         `json:"address"`
	Protocol  string         `json:"protocol,omitempty"`
	Username  string         `json:"username,omitempty"`
	Password  site.Secret    `json:"password,omitempty"` // sealed with the key of the state directory
	Known     site.BMCKnown  `json:"known,omitzero"`
	Inventory site.Inventory `json:"inventory"`
}

// AdoptResult says what became of each BMC of a request, in its order.
type AdoptResult struct {
	BMCs []AdoptedBMC `json:"bmcs"`
}

// AdoptedBMC is one BMC, and whose it is.
type AdoptedBMC struct {
	Address string `json:"address"`
	Node    string `json:"node,omitempty"` // that it claims to be
	By      string `json:"by,omitempty"`   // what it was recognised by
	OK      bool   `json:"ok"`
	New     bool   `json:"new,omitempty"` // the node had no BMC, or could not log in to it
	Note    string `json:"note,omitempty"`
}

// RecordingRequest asks that the console of a node is recorded.
type RecordingRequest struct {
	For time.Duration `json:"for,omitempty"` // nanoseconds; zero means an hour
}

// Recording is a console that is being recorded.
type Recording struct {
	Node  string    `json:"node"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Lines int       `json:"lines"`
	State string    `json:"state"` // recording, or what is in the way
}

// Recorded is how many lines of a person's console session were kept.
type Recorded struct {
	Lines int `json:"lines"`
}
