package site

import (
	"net/netip"
	"time"
)

// Phase is where a node stands, in the words of the CLI, the API and the UI.
type Phase string

// The phases of a node.
const (
	PhaseSeen       Phase = "seen"       // on the wire, not in the plan
	PhasePlanned    Phase = "planned"    // in the plan, not armed
	PhaseArmed      Phase = "armed"      // may be wiped once, when it next boots
	PhaseBooting    Phase = "booting"    // was handed the installer
	PhaseInstalling Phase = "installing" // the installer reports
	PhaseInstalled  Phase = "installed"  // done; boots its disk from here on
	PhaseReady      Phase = "ready"      // booted from disk and verified
	PhaseFailed     Phase = "failed"
	PhaseHeld       Phase = "held" // waits for an operator
)

// Phases are all of them, as a node goes through them.
func Phases() []Phase {
	return []Phase{PhaseSeen, PhasePlanned, PhaseArmed, PhaseBooting, PhaseInstalling, PhaseInstalled, PhaseReady, PhaseFailed, PhaseHeld}
}

// Machine is a planned node and what has become of it. A Machine in a
// published State never changes.
type Machine struct {
	Node   *Node     `json:"node"`
	Phase  Phase     `json:"phase"`
	Since  time.Time `json:"since"`
	Arming Arming    `json:"arming"`

	Attempt    Attempt    `json:"attempt"`
	Reason     string     `json:"reason,omitempty"` // why failed or held
	Wiped      bool       `json:"wiped,omitempty"`  // the disk holds no system that boots
	Installed  bool       `json:"installed,omitempty"`
	Deviations []string   `json:"deviations,omitempty"`
	Evidence   []Evidence `json:"evidence,omitempty"`
	BMC        BMCKnown   `json:"bmc,omitzero"`

	Inventories []Inventory `json:"inventories,omitempty"` // the latest of each source
	Seen        []MAC       `json:"seen,omitempty"`        // its ports that were seen on the wire
	Claims      []Claim     `json:"claims,omitempty"`      // of others to be this machine, since it was armed
	AdoptedBy   string      `json:"adopted_by,omitempty"`  // the rule or the operator

	Discovery DiscoveryAsk `json:"discovery,omitzero"` // wanted at its next network boot
}

// Arming is the second key for a disk; the first is the plan.
type Arming struct {
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Until  time.Time `json:"until,omitzero"`
}

// Attempt is one install of one node. Number counts from one and never
// repeats; zero means that none was made.
type Attempt struct {
	Number   int        `json:"number,omitempty"`
	Stage    string     `json:"stage,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	Nonce    string     `json:"nonce,omitempty"`
	Token    string     `json:"token_hash,omitempty"` // SHA-256 of the token, hex
	Image    string     `json:"image,omitempty"`      // digest
	MAC      MAC        `json:"mac,omitzero"`
	Addr     netip.Addr `json:"addr,omitzero"`
	Started  time.Time  `json:"started,omitzero"`
	Ended    time.Time  `json:"ended,omitzero"`
	Deadline time.Time  `json:"deadline,omitzero"` // of the present stage
	Boots    int        `json:"boots,omitempty"`   // times the installer was handed out
	Answers  int        `json:"answers,omitempty"` // times an answer file was fetched
}

// Evidence is a file that a failed installer sent.
type Evidence struct {
	Attempt int    `json:"attempt"`
	File    string `json:"file"`
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size"` // bytes
}

// Running reports whether an attempt is under way.
func (m *Machine) Running() bool {
	return m.Phase == PhaseBooting || m.Phase == PhaseInstalling
}

// Image is an installation image that the daemon can serve.
type Image struct {
	Name    string    `json:"name"`
	Digest  string    `json:"digest"` // SHA-256, hex
	Size    int64     `json:"size"`   // bytes
	Family  string    `json:"family"` // rhel, openeuler, kylin, debian, ubuntu
	Distro  string    `json:"distro"`
	Version string    `json:"version"`
	Arch    string    `json:"arch"` // x86_64 or aarch64
	Label   string    `json:"label,omitempty"`
	Kernel  string    `json:"kernel"` // path inside the image
	Initrd  string    `json:"initrd"` // path inside the image
	Stage2  string    `json:"stage2,omitempty"`
	Repos   []string  `json:"repos,omitempty"`
	Groups  []string  `json:"groups,omitempty"` // package groups; none if they are not known
	Added   time.Time `json:"added"`
}

// Lease is a pool address that a MAC holds until a time.
type Lease struct {
	MAC      MAC        `json:"mac"`
	Addr     netip.Addr `json:"addr"`
	Until    time.Time  `json:"until"`
	Hostname string     `json:"hostname,omitempty"` // DHCP option 12, printable bytes only
}

// Stranger is a MAC on the wire that the plan does not name.
type Stranger struct {
	MAC   MAC       `json:"mac"`
	Arch  string    `json:"arch,omitempty"`
	Class string    `json:"class,omitempty"`
	First time.Time `json:"first"`

	Hostname string `json:"hostname,omitempty"` // DHCP option 12, printable bytes only

	Inventory *Inventory `json:"inventory,omitempty"` // once it was discovered
}
