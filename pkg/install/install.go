// Package install is the life of one install as a table: which report leads
// from which stage to which, how long each may take, and what a machine
// should boot if it comes back in the middle. It is pure: every function
// takes a machine and a time and gives the events that follow.
package install

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Stage is a point in an install that the installer or the server can name.
type Stage string

// The stages, in the order in which an install passes them.
const (
	StageLoader      Stage = "loader"      // the boot script was handed out
	StageAnswer      Stage = "answer"      // the installer fetched its answer file
	StageEarly       Stage = "early"       // %pre or preseed/early_command runs
	StageDisk        Stage = "disk"        // the system disk is chosen, nothing written yet
	StagePartitioned Stage = "partitioned" // the disk holds new partitions
	StagePackages    Stage = "packages"    // the base system unpacks
	StagePost        Stage = "post"        // %post or preseed/late_command runs
	StageDone        Stage = "done"        // the installer is about to reboot
	StageVerified    Stage = "verified"    // the first boot compared itself with the Intent
	StageFailed      Stage = "failed"      // the installer gave up
)

// Row is one line of the table. Within is how long the machine may stay in
// the stage before the attempt counts as failed: about four times what slow
// hardware needs, because a false alarm at a customer's costs more than a
// late one.
type Row struct {
	Stage  Stage
	Means  string
	Within time.Duration
	Wiped  bool   // the old system is gone
	Fix    string // the next step of whoever finds a machine that failed here
}

// Table lists the stages that have a deadline, in order.
func Table() []Row {
	return []Row{
		{StageLoader, "it was handed the boot script", 20 * time.Minute, false,
			"look at its console: a kernel that stops here lacks memory (2 GB and more), its NIC's driver, or the way to the HTTP port"},
		{StageAnswer, "the installer fetched its answer file", 20 * time.Minute, false,
			"look at its console: the installer stops at a question or at its second stage; `rackseed render NODE` shows its answers"},
		{StageEarly, "%pre or preseed/early_command runs", 15 * time.Minute, false,
			"compare the disks that the reason names with disks: in the plan, correct the plan, and arm it again; nothing was written"},
		{StageDisk, "the system disk is chosen, nothing is written", 15 * time.Minute, false,
			"look at its console and its evidence: partitioning did not begin; nothing was written"},
		{StagePartitioned, "the disk has new partitions", 60 * time.Minute, true,
			"look at its evidence; its old system is gone, so that arming it again loses nothing more"},
		{StagePackages, "packages are unpacked", 60 * time.Minute, true,
			"look at its evidence: a package or a repository is missing or damaged (`rackseed image verify`), or its disk is; then arm it again"},
		{StagePost, "%post or preseed/late_command runs", 60 * time.Minute, true,
			"look at its evidence for the command that failed; then arm it again"},
		{StageDone, "the installer is about to reboot", 45 * time.Minute, false,
			"look at its console and its boot order: it is sent to its disk, and its first boot did not report; `rackseed bootdev set NODE disk` helps where the firmware starts something else"},
	}
}

// Pace is how much faster than real servers the machines go; zero means as
// fast. Every deadline is divided by it, so that a simulated rack's are in
// proportion.
type Pace float64

// RealTime is the pace of real servers.
const RealTime Pace = 1

// Of is d at this pace.
func (p Pace) Of(d time.Duration) time.Duration {
	if p <= 0 || p == RealTime {
		return d
	}
	return time.Duration(float64(d) / float64(p))
}

// Grace is how long deadlines are overlooked once a daemon has started or its
// laptop woke up: machines could not report meanwhile.
const Grace = 10 * time.Minute

// Arrival is how long a machine may take from its power-on until it asks for
// its boot script. Self-tests of servers with terabytes of memory take ten
// minutes.
const Arrival = 30 * time.Minute

// maxBoots is how often one attempt may be handed the installer: the first
// time, and twice more after a power cut or a crash before the disk was
// written. More would be an install loop.
const maxBoots = 3

// MaxAnswers bounds how often the answer files of one attempt are handed out:
// a preseed is five files, and each of maxBoots boots may fetch each three
// times. Anaconda's initramfs retries (curl --retry), and fetches once more
// after switch-root.
const MaxAnswers = maxBoots * 5 * 3

func find(s Stage) (Row, int, bool) {
	for i, r := range Table() {
		if r.Stage == s {
			return r, i, true
		}
	}
	return Row{}, 0, false
}

// Fix is the next step with a machine that failed, in words; empty if it did
// not.
func Fix(m *site.Machine) string {
	switch {
	case m.Phase == site.PhaseHeld:
		return fmt.Sprintf("look at it; `rackseed disarm %s` ends the hold", m.Node.Name)
	case m.Phase != site.PhaseFailed:
		return ""
	}
	at, _, _ := find(Stage(stageOr(m.Attempt.Stage, StageLoader)))
	return strings.ReplaceAll(at.Fix, "NODE", m.Node.Name)
}

// Report is what an installer or a first boot says of itself.
type Report struct {
	Stage      Stage
	Detail     string   // free text, one line
	Deviations []string // with StageVerified: what differs from the Intent
}

// Next gives the events that a report leads to. A report that repeats or
// precedes what is known leads to none; a report that makes no sense at
// all is an error.
func (p Pace) Next(m *site.Machine, r Report, now time.Time) ([]site.Body, error) {
	if !m.Speaks() && r.Stage != StageVerified {
		return nil, nil
	}
	switch r.Stage {
	case StageFailed:
		return failed(m, r), nil
	case StageDone:
		return p.done(m, now), nil
	case StageVerified:
		return p.verified(m, r, now)
	}
	reached, order, ok := find(r.Stage)
	if !ok {
		return nil, fmt.Errorf("%q is not a stage of an install", r.Stage)
	}
	if !m.Running() {
		return nil, nil
	}
	if _, at, ok := find(Stage(m.Attempt.Stage)); ok && order <= at {
		return nil, nil
	}
	return []site.Body{site.InstallProgress{
		Node: m.Node.Name, Attempt: m.Attempt.Number, Stage: string(r.Stage), Detail: r.Detail,
		Deadline: now.Add(p.Of(reached.Within)),
	}}, nil
}

func failed(m *site.Machine, r Report) []site.Body {
	if !m.Running() {
		return nil
	}
	reason := r.Detail
	if reason == "" {
		reason = "the installer reported a failure without a reason"
	}
	return []site.Body{fail(m, reason)}
}

func fail(m *site.Machine, reason string) site.InstallFailed {
	stage := m.Attempt.Stage
	if stage == "" {
		stage = string(StageLoader)
	}
	at, _, _ := find(Stage(stage))
	return site.InstallFailed{Node: m.Node.Name, Attempt: m.Attempt.Number, Stage: stage, Reason: reason, Wiped: at.Wiped}
}

// done latches the machine. It is also believed of an attempt that was given
// up for lost: what it leads to is a boot from disk, which harms nothing.
func (p Pace) done(m *site.Machine, now time.Time) []site.Body {
	if !m.Running() && m.Phase != site.PhaseFailed || m.Installed {
		return nil
	}
	last, _, _ := find(StageDone)
	return []site.Body{site.InstallDone{Node: m.Node.Name, Attempt: m.Attempt.Number, Deadline: now.Add(p.Of(last.Within))}}
}

// verified comes from the installed system. The report that the installer
// was done may have been lost on the way; a first boot proves it.
func (p Pace) verified(m *site.Machine, r Report, now time.Time) ([]site.Body, error) {
	bodies := p.done(m, now)
	if len(bodies) == 0 && !m.Installed || !m.Speaks() {
		return nil, fmt.Errorf("%s is %s: no install of it waits for a first boot", m.Node.Name, m.Phase)
	}
	return append(bodies, site.NodeVerified{Node: m.Node.Name, Attempt: m.Attempt.Number, Deviations: r.Deviations}), nil
}

// Start uses up the arming of m. Token is the hash of the attempt's token.
func (p Pace) Start(m *site.Machine, image, nonce, token string, mac site.MAC, addr netip.Addr, now time.Time) site.InstallStarted {
	first, _, _ := find(StageLoader)
	return site.InstallStarted{
		Node: m.Node.Name, Attempt: m.Attempt.Number + 1, Nonce: nonce, Token: token, Image: image,
		MAC: mac, Addr: addr, Deadline: now.Add(p.Of(first.Within)),
	}
}

// Again gives the events of a running machine that asks for its boot script
// once more. Firmware and iPXE retry, so asking again before the installer
// has said anything changes nothing; after that it means that the installer
// went away.
func (p Pace) Again(m *site.Machine, now time.Time) []site.Body {
	if m.Phase == site.PhaseBooting {
		return nil
	}
	first, _, _ := find(StageLoader)
	if !MayResume(m) {
		return []site.Body{fail(m, GaveUp(m))}
	}
	return []site.Body{site.InstallResumed{Node: m.Node.Name, Attempt: m.Attempt.Number, Deadline: now.Add(p.Of(first.Within))}}
}

// MayResume reports whether a running machine may be handed the installer
// again within its attempt.
func MayResume(m *site.Machine) bool {
	return m.Running() && m.Attempt.Boots < maxBoots
}

// Finishing reports whether the last that a running machine said is that its
// system is on the disk and being completed. If it boots again now, that it
// was done may have been lost on the way: to install it once more would be a
// loop. Its first boot tells, or its deadline.
func Finishing(m *site.Machine) bool {
	return m.Running() && Stage(m.Attempt.Stage) == StagePost
}

// GaveUp says why a running machine is not handed the installer again.
func GaveUp(m *site.Machine) string {
	return fmt.Sprintf("the installer was started %d times and went away each time, last after stage %q: look at its console and its evidence, then arm it again",
		m.Attempt.Boots, m.Attempt.Stage)
}

// Expire gives the events of everything whose time has run out by now:
// armings that nobody used, stages that took too long. since is when the
// daemon could first hear the machines; zero means all the time.
func (p Pace) Expire(s *site.State, now, since time.Time) []site.Body {
	deaf := now.Before(since.Add(p.Of(Grace)))
	var bodies []site.Body
	for _, m := range s.Machines() {
		if b := expire(m, now, deaf); b != nil {
			bodies = append(bodies, b)
		}
	}
	return bodies
}

func expire(m *site.Machine, now time.Time, deaf bool) site.Body {
	late := !deaf && !m.Attempt.Deadline.IsZero() && !now.Before(m.Attempt.Deadline)
	switch {
	case m.Phase == site.PhaseArmed && !now.Before(m.Arming.Until):
		return site.Disarmed{Node: m.Node.Name, By: "rackseed", Reason: "the arming ran out before the machine booted"}
	case m.Running() && late:
		return fail(m, fmt.Sprintf("no report since stage %q, for longer than that stage may take: look at the machine's console; `rackseed explain %s` says what it would be told now",
			stageOr(m.Attempt.Stage, StageLoader), m.Node.Name))
	case m.Phase == site.PhaseInstalled && late:
		b := fail(m, "installed, but its first boot never reported: look at its console and its boot order; it is still sent to its disk")
		b.Stage = string(StageDone)
		b.Wiped = false
		return b
	}
	return nil
}

func stageOr(stage string, otherwise Stage) string {
	if stage == "" {
		return string(otherwise)
	}
	return stage
}

// DefaultArming is how long an arming waits for the machine to boot.
const DefaultArming = 4 * time.Hour

// Arm gives the events that arm every one of machines, or refuses them all:
// half a batch armed would be a surprise.
func Arm(s *site.State, machines []*site.Machine, by, reason string, until time.Time) ([]site.Body, error) {
	var bodies []site.Body
	for _, m := range machines {
		if err := armable(s, m); err != nil {
			return nil, err
		}
		bodies = append(bodies, site.Armed{Node: m.Node.Name, By: by, Reason: reason, Until: until})
	}
	return bodies, nil
}

func armable(s *site.State, m *site.Machine) error {
	name := m.Node.Name
	switch {
	case m.Running():
		return Refusal(fmt.Sprintf("%s is being installed (attempt %d): wait for it, or `rackseed disarm %s` first", name, m.Attempt.Number, name))
	case m.Phase == site.PhaseHeld:
		return Refusal(fmt.Sprintf("%s is held (%s): look at it, then `rackseed disarm %s` ends the hold", name, m.Reason, name))
	}
	// What the plan calls its BMC would switch and wipe a stranger.
	if found, ok := m.InventoryFrom(site.FromBMC); ok && s.Contradiction(m, found) != nil {
		return Refusal(fmt.Sprintf("%s has the BMC of another machine: %v; correct bmc: {address: …} in the plan, or serial: if its board was exchanged, then `rackseed inventory %s`",
			name, s.Contradiction(m, found), name))
	}
	image := s.Settings.ImageOf(m.Node)
	have, ok := s.Images.Get(image)
	switch {
	case image == "":
		return Refusal(fmt.Sprintf("%s has no image: give its role %s one in the plan", name, m.Node.Role))
	case !ok:
		return Refusal(fmt.Sprintf("%s installs from image %s, which is not in the library: `rackseed image add FILE.iso --name %s`", name, image, image))
	}
	if want := s.Settings.Images[image].SHA256; want != "" && want != have.Digest {
		return Refusal(fmt.Sprintf("image %s is %s, but the plan wants %s: add the right medium or correct the plan", image, have.Digest, want))
	}
	return nil
}

// Refusal is an arming refused for safety; the CLI exits with status 4.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Disarm gives the events that take armings back, end holds, and give up
// attempts that run. Machines with nothing to take back are passed over.
func Disarm(machines []*site.Machine, by, reason string) []site.Body {
	var bodies []site.Body
	for _, m := range machines {
		if m.Phase == site.PhaseArmed || m.Phase == site.PhaseHeld || m.Running() {
			bodies = append(bodies, site.Disarmed{Node: m.Node.Name, By: by, Reason: reason})
		}
	}
	return bodies
}
