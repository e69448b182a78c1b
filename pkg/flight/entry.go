// Package flight records what happened to each machine, on every wire: one
// timeline of DHCP, TFTP, HTTP, BMC, installer, syslog and console, with a
// cause in plain language where one is known. It is evidence, not state: what
// decides anything is in the log.
package flight

import (
	"net/netip"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Source is where an entry was observed.
type Source string

// The sources.
const (
	DHCP      Source = "dhcp"
	ProxyDHCP Source = "proxydhcp"
	TFTP      Source = "tftp"
	HTTP      Source = "http"
	BMC       Source = "bmc"
	Installer Source = "installer"
	Syslog    Source = "syslog"
	Console   Source = "console"
	Log       Source = "log" // an event of the site's log, merged in when a timeline is read
)

// wire reports a source that a machine alone decides to speak on, as often as
// it likes.
func (s Source) wire() bool { return s == DHCP || s == ProxyDHCP || s == TFTP || s == HTTP }

// Client is what speaks for a machine at the moment.
type Client string

// The clients, as DHCP tells them apart.
const (
	ClientBIOS Client = "bios"      // a PXE ROM
	ClientUEFI Client = "uefi"      // PXE of UEFI firmware
	ClientHTTP Client = "uefi-http" // HTTP boot of UEFI firmware
	ClientIPXE Client = "ipxe"
	ClientOS   Client = "os" // an operating system or an installer
)

// Refused begins the detail of an answer file that a machine asked for in vain.
const Refused = "refused"

// Firmware reports a client that is not there any more once an operating
// system runs.
func (c Client) Firmware() bool { return c != "" && c != ClientOS }

// Entry is one thing that was observed of one machine. Detail and Cause are
// single lines of printable text, and never hold a secret.
type Entry struct {
	At      time.Time     `json:"at"`
	Seq     uint64        `json:"seq,omitempty"` // of the event in the site's log, if it is one
	Source  Source        `json:"source"`
	Node    string        `json:"node,omitempty"` // empty for a machine that the plan does not name
	MAC     site.MAC      `json:"mac,omitzero"`
	Addr    netip.Addr    `json:"addr,omitzero"`
	Attempt int           `json:"attempt,omitempty"`
	What    string        `json:"what"` // discover, offer, request, ack, open, sent, aborted, get, script, power-on …
	Client  Client        `json:"client,omitempty"`
	Name    string        `json:"name,omitempty"` // of the file, the boot action, the stage
	XID     uint32        `json:"xid,omitempty"`  // of the DHCP exchange
	Detail  string        `json:"detail,omitempty"`
	Cause   string        `json:"cause,omitempty"`
	Bytes   int64         `json:"bytes,omitempty"`
	Took    time.Duration `json:"took,omitempty"` // nanoseconds
}

// Phase is a stretch of one attempt that the time is accounted to.
type Phase struct {
	Name  string    `json:"name"`
	Begin time.Time `json:"begin"`
	End   time.Time `json:"end"`
	Note  string    `json:"note,omitempty"` // what would shorten it, or why it took so long
	Open  bool      `json:"open,omitempty"` // it goes on; End is now
}

// Diagnosis is something that a machine's entries show, in plain language.
type Diagnosis struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"` // of the entry that shows it
	Cause  string    `json:"cause"`
	Next   string    `json:"next,omitempty"` // what to do about it; empty when it is nothing to worry about
	Normal bool      `json:"normal,omitempty"`
}

// Timeline is what is known of one machine.
type Timeline struct {
	Node     string      `json:"node"`
	Attempt  int         `json:"attempt,omitempty"` // that the phases are of
	Entries  []Entry     `json:"entries"`
	Phases   []Phase     `json:"phases"`
	Findings []Diagnosis `json:"findings"`
}

// The phases, in their order. A phase that was not observed is left out.
const (
	PhasePOST       = "post"       // power on to the first DHCP of the firmware
	PhaseDHCP       = "dhcp"       // to the first byte of the loader
	PhaseLoader     = "loader"     // to the boot script
	PhaseKernel     = "kernel"     // kernel and initrd, to the answer file
	PhaseStage2     = "stage2"     // to the first report of the installer
	PhasePartition  = "partition"  // to partitioned disks
	PhasePackages   = "packages"   // to the end of the packages
	PhaseConfigure  = "configure"  // %post, late_command
	PhaseReboot     = "reboot"     // to the power-on self test of the second boot
	PhaseSecondPOST = "post-again" // to the first sign of the installed system
	PhaseVerify     = "verify"     // to ready
)

// Run is one attempt of one machine in a Batch.
type Run struct {
	Node    string    `json:"node"`
	State   string    `json:"state,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	Begin   time.Time `json:"begin,omitzero"`
	End     time.Time `json:"end,omitzero"`
	Open    bool      `json:"open,omitempty"` // it goes on; End is now
	Phases  []Phase   `json:"phases"`
}

// Share is what one phase cost the machines of a Batch.
type Share struct {
	Name     string        `json:"name"`
	Machines int           `json:"machines"`        // that went through it
	Median   time.Duration `json:"median"`          // nanoseconds
	Longest  time.Duration `json:"longest"`         // nanoseconds
	Slowest  string        `json:"slowest"`         // node
	Note     string        `json:"note,omitempty"`  // what would shorten it for most
	Noted    int           `json:"noted,omitempty"` // machines that the note is true of
	Apart    bool          `json:"apart,omitempty"` // the slowest took twice the median and more
}

// Batch is where the time of many machines went.
type Batch struct {
	Begin  time.Time `json:"begin,omitzero"`
	End    time.Time `json:"end,omitzero"`
	Runs   []Run     `json:"runs"`
	Shares []Share   `json:"shares"`
}
