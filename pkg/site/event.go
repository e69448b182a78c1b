package site

import (
	"net/netip"
	"time"
)

// Event is one change, with its place in the one ordered log of the site.
type Event struct {
	Seq  uint64 // one-based, without gaps
	At   time.Time
	Body Body
}

// Body is what changed. Each body is one of the types of this file.
type Body interface {
	// Kind is the name of the change in the log and in the API.
	Kind() string
	// Subject is the node, MAC, image or address that it is about; empty for
	// the site itself.
	Subject() string
}

// PlanApplied puts the settings of a plan in force. The node events that
// follow it in the same commit bring the machines.
type PlanApplied struct {
	Settings Settings `json:"settings"`
	Digest   string   `json:"digest"` // SHA-256 of the plan as parsed, hex
	Nodes    int      `json:"nodes"`
	By       string   `json:"by,omitempty"`
}

// NodePlanned adds a machine to the plan or changes its entry. An arming of
// a changed entry lapses: it consented to other disks.
type NodePlanned struct {
	Node Node   `json:"node"`
	By   string `json:"by,omitempty"` // of a node that was adopted: the operator or the rule
}

// NodeUnplanned takes a machine out of the plan.
type NodeUnplanned struct {
	Name string `json:"name"`
}

// ImageAdded makes an installation image available.
type ImageAdded struct {
	Image Image `json:"image"`
}

// ImageRemoved withdraws an image.
type ImageRemoved struct {
	Name string `json:"name"`
}

// StrangerSeen records the first packet of a MAC that the plan does not name.
type StrangerSeen struct {
	MAC   MAC    `json:"mac"`
	Arch  string `json:"arch,omitempty"`  // client architecture, RFC 4578 section 2.1
	Class string `json:"class,omitempty"` // DHCP option 60, as sent, printable bytes only

	Hostname string `json:"hostname,omitempty"` // DHCP option 12, printable bytes only
}

// LeaseGranted binds a pool address to a MAC until a time.
type LeaseGranted struct {
	Lease Lease `json:"lease"`
}

// LeaseReleased gives the address back early (RFC 2131 section 4.3.4).
type LeaseReleased struct {
	MAC  MAC        `json:"mac"`
	Addr netip.Addr `json:"addr"`
}

// AddressDeclined keeps an address out of the pool because somebody else
// uses it (RFC 2131 section 4.3.3).
type AddressDeclined struct {
	Addr  netip.Addr `json:"addr"`
	MAC   MAC        `json:"mac"`
	Until time.Time  `json:"until"`
}

// Armed is an operator's consent to one install of one node.
type Armed struct {
	Node   string    `json:"node"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until"`
}

// Disarmed takes the consent back, and ends a hold.
type Disarmed struct {
	Node   string `json:"node"`
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// InstallStarted uses up the arming: attempt Attempt now runs.
type InstallStarted struct {
	Node     string     `json:"node"`
	Attempt  int        `json:"attempt"`
	Nonce    string     `json:"nonce"`      // makes the token of this attempt unique; not secret
	Token    string     `json:"token_hash"` // SHA-256 of the token, hex
	Image    string     `json:"image"`      // digest
	MAC      MAC        `json:"mac"`
	Addr     netip.Addr `json:"addr"`
	Deadline time.Time  `json:"deadline"`
}

// InstallResumed hands the installer out again within the same attempt.
type InstallResumed struct {
	Node     string    `json:"node"`
	Attempt  int       `json:"attempt"`
	Deadline time.Time `json:"deadline"`
}

// AnswerServed records who fetched which answer file; the audit of law 6.
type AnswerServed struct {
	Node    string     `json:"node"`
	Attempt int        `json:"attempt"`
	File    string     `json:"file"`
	SHA256  string     `json:"sha256"`
	Addr    netip.Addr `json:"addr"`
}

// InstallProgress is a stage that the installer says it has reached.
type InstallProgress struct {
	Node     string    `json:"node"`
	Attempt  int       `json:"attempt"`
	Stage    string    `json:"stage"`
	Detail   string    `json:"detail,omitempty"`
	Deadline time.Time `json:"deadline"`
}

// InstallDone latches the node as installed: from here on it boots its disk.
type InstallDone struct {
	Node     string    `json:"node"`
	Attempt  int       `json:"attempt"`
	Deadline time.Time `json:"deadline"` // for the first boot's verification
}

// InstallFailed ends an attempt. Wiped says that the old system is gone, so
// that there is nothing to boot from disk.
type InstallFailed struct {
	Node    string `json:"node"`
	Attempt int    `json:"attempt"`
	Stage   string `json:"stage"`
	Reason  string `json:"reason"`
	Wiped   bool   `json:"wiped,omitempty"`
}

// NodeVerified is the first boot's comparison of what is in force with what
// was intended. Without deviations the node is ready; with them it stays
// installed, and the deviations stand beside it.
type NodeVerified struct {
	Node       string   `json:"node"`
	Attempt    int      `json:"attempt"`
	Deviations []string `json:"deviations,omitempty"`
}

// EvidenceStored says where the logs of an attempt are kept.
type EvidenceStored struct {
	Node    string `json:"node"`
	Attempt int    `json:"attempt"`
	File    string `json:"file"` // below the evidence folder of the state directory
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size"` // bytes
}

// NodeHeld stops a node until an operator has looked.
type NodeHeld struct {
	Node   string `json:"node"`
	Reason string `json:"reason"`
}

// The names of the bodies in the log.
func (PlanApplied) Kind() string     { return "plan-applied" }
func (NodePlanned) Kind() string     { return "node-planned" }
func (NodeUnplanned) Kind() string   { return "node-unplanned" }
func (ImageAdded) Kind() string      { return "image-added" }
func (ImageRemoved) Kind() string    { return "image-removed" }
func (StrangerSeen) Kind() string    { return "stranger-seen" }
func (LeaseGranted) Kind() string    { return "lease-granted" }
func (LeaseReleased) Kind() string   { return "lease-released" }
func (AddressDeclined) Kind() string { return "address-declined" }
func (Armed) Kind() string           { return "armed" }
func (Disarmed) Kind() string        { return "disarmed" }
func (InstallStarted) Kind() string  { return "install-started" }
func (InstallResumed) Kind() string  { return "install-resumed" }
func (AnswerServed) Kind() string    { return "answer-served" }
func (InstallProgress) Kind() string { return "install-progress" }
func (InstallDone) Kind() string     { return "install-done" }
func (InstallFailed) Kind() string   { return "install-failed" }
func (NodeVerified) Kind() string    { return "node-verified" }
func (EvidenceStored) Kind() string  { return "evidence-stored" }
func (NodeHeld) Kind() string        { return "node-held" }

// Subjects, by which a reader filters the log.
func (PlanApplied) Subject() string       { return "" }
func (e NodePlanned) Subject() string     { return e.Node.Name }
func (e NodeUnplanned) Subject() string   { return e.Name }
func (e ImageAdded) Subject() string      { return e.Image.Name }
func (e ImageRemoved) Subject() string    { return e.Name }
func (e StrangerSeen) Subject() string    { return e.MAC.String() }
func (e LeaseGranted) Subject() string    { return e.Lease.MAC.String() }
func (e LeaseReleased) Subject() string   { return e.MAC.String() }
func (e AddressDeclined) Subject() string { return e.Addr.String() }
func (e Armed) Subject() string           { return e.Node }
func (e Disarmed) Subject() string        { return e.Node }
func (e InstallStarted) Subject() string  { return e.Node }
func (e InstallResumed) Subject() string  { return e.Node }
func (e AnswerServed) Subject() string    { return e.Node }
func (e InstallProgress) Subject() string { return e.Node }
func (e InstallDone) Subject() string     { return e.Node }
func (e InstallFailed) Subject() string   { return e.Node }
func (e NodeVerified) Subject() string    { return e.Node }
func (e EvidenceStored) Subject() string  { return e.Node }
func (e NodeHeld) Subject() string        { return e.Node }
