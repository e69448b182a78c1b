// Package view is the state as an operator reads it: the documents of the
// API, which the CLI, the page and scripts share. It is pure.
package view

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

// Node is one machine, planned or seen.
type Node struct {
	Name       string                `json:"name"`
	Role       string                `json:"role,omitempty"`
	Rack       string                `json:"rack,omitempty"`
	U          int                   `json:"u,omitempty"`
	State      site.Phase            `json:"state"`
	Stage      string                `json:"stage,omitempty"`
	Detail     string                `json:"detail,omitempty"`
	Since      time.Time             `json:"since"`
	Reason     string                `json:"reason,omitempty"` // why failed or held, or else the latest of Claims
	Fix        string                `json:"fix,omitempty"`    // the next step with a machine that failed or is held
	Claims     []site.Claim          `json:"claims,omitempty"` // of other machines to be this one, which were refused
	Deviations []string              `json:"deviations,omitempty"`
	MACs       []site.MAC            `json:"macs,omitempty"`
	Serial     string                `json:"serial,omitempty"`
	Kind       string                `json:"kind,omitempty"`   // bmc: a stranger that is recognised as one
	BMCOf      string                `json:"bmc_of,omitempty"` // the node whose BMC it seems to be
	Address    netip.Addr            `json:"address,omitzero"` // that it has from us
	UUID       site.UUID             `json:"uuid,omitzero"`
	Addresses  map[string]netip.Addr `json:"addresses,omitempty"`
	Image      string                `json:"image,omitempty"`
	ArmedBy    string                `json:"armed_by,omitempty"`
	ArmedUntil time.Time             `json:"armed_until,omitzero"`
	Attempt    int                   `json:"attempt,omitempty"`
	Started    time.Time             `json:"started,omitzero"`
	Ended      time.Time             `json:"ended,omitzero"`
	Deadline   time.Time             `json:"deadline,omitzero"`
	Disks      []site.DiskSelector   `json:"disks,omitempty"` // that an install may wipe
	Evidence   []site.Evidence       `json:"evidence,omitempty"`
	Adopted    bool                  `json:"adopted,omitempty"` // by an operator or a rule; no plan file names it
	AdoptedBy  string                `json:"adopted_by,omitempty"`
	Model      string                `json:"model,omitempty"`
	Inventory  *site.Inventory       `json:"inventory,omitempty"` // of one machine that is shown alone
	Cabling    []cabling.Finding     `json:"cabling,omitempty"`   // likewise: cables that are not where the plan has them
	Next       string                `json:"next"`                // what it would be told now
	Why        string                `json:"why"`
}

// NodeOf is how one machine stands at now.
func NodeOf(s *site.State, m *site.Machine, now time.Time) Node {
	d := boot.For(s, m, now)
	n := m.Node
	reason := m.Reason
	if k := len(m.Claims); reason == "" && k > 0 {
		reason = m.Claims[k-1].Reason
	}
	return Node{
		Name: n.Name, Role: n.Role, Rack: n.Rack, U: n.U, State: m.Phase, Stage: m.Attempt.Stage, Detail: m.Attempt.Detail,
		Since: m.Since, Reason: reason, Fix: install.Fix(m), Claims: m.Claims, Deviations: m.Deviations, MACs: n.MACs, Serial: n.Serial, UUID: n.UUID,
		Addresses: n.Addresses, Image: s.Settings.ImageOf(n), ArmedBy: m.Arming.By, ArmedUntil: m.Arming.Until,
		Attempt: m.Attempt.Number, Started: m.Attempt.Started, Ended: m.Attempt.Ended, Deadline: m.Attempt.Deadline,
		Disks: n.Disks.System, Evidence: m.Evidence, Adopted: n.Adopted, AdoptedBy: m.AdoptedBy, Next: string(d.Action), Why: d.Why,
	}
}

// Nodes lists machines, and after them the strangers that were seen.
func Nodes(s *site.State, machines []*site.Machine, strangers bool, now time.Time) []Node {
	list := make([]Node, 0, len(machines))
	for _, m := range machines {
		list = append(list, NodeOf(s, m, now))
	}
	if !strangers {
		return list
	}
	var seen []Node
	for _, st := range s.Strangers.All() {
		seen = append(seen, StrangerOf(s, st, now))
	}
	slices.SortFunc(seen, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return append(list, seen...)
}

// Status is the daemon at a glance.
type Status struct {
	Version    string             `json:"version"`
	Site       string             `json:"site"`
	PlanDigest string             `json:"plan_digest,omitempty"`
	Seq        uint64             `json:"seq"`
	Now        time.Time          `json:"now"`
	Nodes      map[site.Phase]int `json:"nodes"`
	Images     int                `json:"images"`
	Leases     int                `json:"leases"`
	Timezone   string             `json:"timezone,omitempty"` // of the site, IANA name
	Serving    Serving            `json:"serving"`
}

// Serving is what the daemon does on the wire.
type Serving struct {
	DHCP       site.DHCPMode `json:"dhcp"`
	Interfaces []string      `json:"interfaces,omitempty"`
	HTTP       string        `json:"http,omitempty"`    // base URL of the machine side
	Note       string        `json:"note,omitempty"`    // why it is silent, if it is
	Links      []Link        `json:"links,omitempty"`   // that the daemon's machine has
	Waiting    bool          `json:"waiting,omitempty"` // for one of them to be chosen
	Plan       string        `json:"plan,omitempty"`    // why the plan that it was started with is not in force, if it is not
}

// StatusOf counts.
func StatusOf(s *site.State, version string, serving Serving, now time.Time) Status {
	st := Status{
		Version: version, Site: s.Settings.Site, PlanDigest: s.PlanDigest, Seq: s.Seq, Now: now,
		Nodes: map[site.Phase]int{}, Images: s.Images.Len(), Leases: s.Leases.Len(), Timezone: s.Settings.Locale.Timezone, Serving: serving,
	}
	for _, m := range s.Machines() {
		st.Nodes[m.Phase]++
	}
	if n := s.Strangers.Len(); n > 0 {
		st.Nodes[site.PhaseSeen] = n
	}
	return st
}

// Explanation is what one machine would be told now, and why.
type Explanation struct {
	Who    string    `json:"who"`
	Node   string    `json:"node,omitempty"`
	State  string    `json:"state,omitempty"`
	Seq    uint64    `json:"seq,omitempty"` // of the event that it was said after; zero means now
	At     time.Time `json:"at,omitzero"`   // of that event
	Action string    `json:"action"`
	Why    string    `json:"why"`
	Steps  []Step    `json:"steps"`
}

// Profile is what a node must be, each value with where it came from.
type Profile struct {
	Node    string   `json:"node"`
	Role    string   `json:"role"`
	Profile string   `json:"profile"`
	Chain   []string `json:"chain"` // from the base on
	Values  []Value  `json:"values"`
}

// Value is one value that a profile, a role or a node decided.
type Value struct {
	Kind   string `json:"kind"`          // the key of a profile that it is from: sysctl
	Key    string `json:"key,omitempty"` // empty where there is one value of the kind
	Value  string `json:"value"`
	From   string `json:"from"`
	Why    string `json:"why,omitempty"`
	Source string `json:"source,omitempty"`
}

// Step is one packet or document on the way, as it would be sent.
type Step struct {
	Title string `json:"title"`
	Why   string `json:"why,omitempty"`
	Text  string `json:"text,omitempty"` // with secrets masked
}

// PlanRequest is a plan as written, with the role profiles that the site
// keeps beside it.
type PlanRequest struct {
	Plan     string            `json:"plan"`
	Profiles map[string]string `json:"profiles,omitzero"` // texts by name; null leaves those in force, {} takes them away
}

// PlanResult is what came of checking or applying a plan.
type PlanResult struct {
	Nodes    int       `json:"nodes"`
	Findings []Finding `json:"findings"`
	Changes  []string  `json:"changes,omitempty"` // in words, one for each event
	Applied  bool      `json:"applied"`
	Refused  string    `json:"refused,omitempty"` // with Changes not applied: why they would not be now
	Seq      uint64    `json:"seq,omitempty"`
}

// Finding is something wrong with a plan, and where.
type Finding struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Message  string `json:"message"`
	Fix      string `json:"fix"`
}

// ArmRequest asks for armings, or for what they would do.
type ArmRequest struct {
	Selector string        `json:"selector"`
	By       string        `json:"by,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	For      time.Duration `json:"for,omitempty"` // nanoseconds; zero means install.DefaultArming
	DryRun   bool          `json:"dry_run,omitempty"`
}

// ArmResult lists the machines that were armed or disarmed, or would be.
type ArmResult struct {
	Nodes []Node `json:"nodes"`
	Seq   uint64 `json:"seq"` // of the state after it; follow events from here
}

// ImageRequest asks for a medium to be taken into the library.
type ImageRequest struct {
	File   string `json:"file"` // path on the daemon's machine
	Name   string `json:"name,omitempty"`
	Kernel string `json:"kernel,omitempty"` // path of a kernel that the medium lacks
	Initrd string `json:"initrd,omitempty"`
}

// ImageResult is one image, with what is odd about it.
type ImageResult struct {
	site.Image
	Warnings []string `json:"warnings,omitempty"`
}

// ImageLine is one line of what comes of adding a medium: progress, then the
// image or the problem. A big medium takes minutes to hash.
type ImageLine struct {
	Done    int64        `json:"done,omitempty"`  // bytes
	Total   int64        `json:"total,omitempty"` // bytes
	Image   *ImageResult `json:"image,omitempty"`
	Problem *Problem     `json:"problem,omitempty"`

	Verified bool `json:"verified,omitempty"` // hashed again, it is what was added
}

// Problem is an error of the API (RFC 9457), with the next step.
type Problem struct {
	Type   string          `json:"type"`
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"`
	Code   string          `json:"code"` // usage, refused, not-found, failed
	Extra  json.RawMessage `json:"extra,omitempty"`
}

// Export is what one kind of export gives: inventories for the tools that
// come after the installation.
type Export struct {
	Files    []ExportFile `json:"files"`
	Warnings []string     `json:"warnings,omitempty"`
}

// ExportFile is one document of an export.
type ExportFile struct {
	Name string `json:"name"` // relative, with slashes
	Text string `json:"text"`
}
