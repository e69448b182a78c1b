package flight

import (
	"cmp"
	"slices"
	"time"
)

// The stages of pkg/install that part the phases.
const (
	stageAnswer      = "answer"
	stageEarly       = "early"
	stagePartitioned = "partitioned"
	stagePost        = "post"
	stageDone        = "done"
	stageVerified    = "verified"
	stageFailed      = "failed"
)

// bootGap parts two boots of a machine: firmware that was silent for longer
// was switched off, or had gone to its disk.
const bootGap = 15 * time.Minute

// Phases accounts for the time of one attempt: from the moment its machine
// was switched on, as far as anybody saw that, to the end. Attempt zero is
// the newest one. The entries are those of one machine, the oldest first.
func Phases(entries []Entry, attempt int, now time.Time) []Phase {
	run := entriesOf(entries, &attempt)
	if len(run) == 0 {
		return nil
	}
	var all []Phase
	for _, boot := range boots(run) {
		phases := account(boot)
		if len(all) > 0 && len(phases) > 0 {
			cut := &all[len(all)-1]
			cut.End, cut.Note = phases[0].Begin, "the installer went away here, and the machine started over"
		}
		all = append(all, phases...)
	}
	return finish(all, run, now)
}

// AttemptOf is the number of the newest attempt; zero when there was none.
func AttemptOf(entries []Entry) int {
	newest := 0
	for _, e := range entries {
		newest = max(newest, e.Attempt)
	}
	return newest
}

// WindowOf is when an attempt began, with the power-on or the first packet
// that led to it, and when it ended; zero while it has not.
func WindowOf(entries []Entry, attempt int) (begin, end time.Time, ok bool) {
	run := entriesOf(entries, &attempt)
	if len(run) == 0 {
		return begin, end, false
	}
	if last := run[len(run)-1]; ends(last) {
		end = last.At
	}
	return began(run[0]), end, true
}

// began is when what an entry tells of began.
func began(e Entry) time.Time {
	if e.Source == TFTP || e.Source == HTTP {
		return e.At.Add(-e.Took)
	}
	return e.At
}

func ends(e Entry) bool {
	return e.Source == Installer && (e.What == stageVerified || e.What == stageFailed) || e.Source == Log && e.What == "disarmed"
}

// entriesOf cuts the entries of one attempt out: back from its start to the
// power-on or the first packet of that boot, and on to its end or the next
// attempt's start. Without any attempt it is the newest boot.
func entriesOf(entries []Entry, attempt *int) []Entry {
	if *attempt == 0 {
		*attempt = AttemptOf(entries)
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return e.Source == Syslog || e.Source == Console })
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(began(a).UnixNano(), began(b).UnixNano()) })
	start := len(entries)
	for i, e := range entries {
		if *attempt > 0 && e.Attempt == *attempt && e.Source == Log && e.What == "install-started" {
			start = i
			break
		}
	}
	if start == len(entries) && *attempt > 0 {
		// The beginning was lost: take what says that it belongs to it.
		start = max(0, slices.IndexFunc(entries, func(e Entry) bool { return e.Attempt == *attempt }))
	}
	first := bootOf(entries, start)
	last := len(entries)
	for i := start; i < len(entries); i++ {
		e := entries[i]
		if i > start && e.Source == Log && e.What == "install-started" && e.Attempt != *attempt {
			last = bootOf(entries, i)
			break
		}
		if ends(e) && (e.Attempt == *attempt || e.Attempt == 0) {
			last = i + 1
			break
		}
	}
	return entries[first:max(first, last)]
}

// bootOf goes back from an entry to where its boot began.
func bootOf(entries []Entry, at int) int {
	first := at
	for i := at - 1; i >= 0; i-- {
		e := entries[i]
		switch {
		case ends(e), e.Source == Installer:
			return first
		case powersOn(e):
			if entries[min(first, len(entries)-1)].At.Sub(e.At) > bootGap {
				return first
			}
			return i
		case e.Client.Firmware(), e.Source == TFTP, e.Source == HTTP && e.What != filesWhat:
			if entries[min(first, len(entries)-1)].At.Sub(e.At) > bootGap {
				return first
			}
			first = i
		}
	}
	return first
}

const filesWhat = "repository"

func powersOn(e Entry) bool {
	if e.Source != BMC {
		return false
	}
	switch e.What {
	case "power-on", "power-cycle", "power-reset":
		return true
	}
	return false
}

// boots parts an attempt at the moments where its installer was started over.
func boots(run []Entry) [][]Entry {
	var parts [][]Entry
	from := 0
	for i, e := range run {
		if e.Source == Log && e.What == "install-resumed" {
			again := max(from+1, bootOf(run, i))
			parts = append(parts, run[from:again])
			from = again
		}
	}
	return append(parts, run[from:])
}

// mark is a moment that one phase ends and the next begins at.
type mark struct {
	phase string // that begins
	at    time.Time
}

// account finds the phases of one boot of the installer.
func account(run []Entry) []Phase {
	var marks []mark
	add := func(phase string, at time.Time) {
		// A mark that comes late, because its sign was lost, moves nothing back.
		if len(marks) == 0 || !at.Before(marks[len(marks)-1].at) {
			marks = append(marks, mark{phase, at})
		}
	}
	first := func(ok func(Entry) bool) (time.Time, bool) {
		i := slices.IndexFunc(run, ok)
		if i < 0 {
			return time.Time{}, false
		}
		return began(run[i]), true
	}
	stage := func(s string) func(Entry) bool {
		return func(e Entry) bool { return e.Source == Installer && e.What == s }
	}
	for _, m := range []struct {
		phase string
		sign  func(Entry) bool
	}{
		{PhasePOST, powersOn},
		{PhaseDHCP, func(e Entry) bool { return e.What == "discover" && e.Client.Firmware() }},
		{PhaseLoader, func(e Entry) bool {
			return e.Source == TFTP && (e.What == "open" || e.What == "sent" || e.What == "size-probe") || e.Source == HTTP && e.What == "loader"
		}},
		{PhaseKernel, func(e Entry) bool {
			return e.Source == Log && (e.What == "install-started" || e.What == "install-resumed")
		}},
		{PhaseStage2, func(e Entry) bool { return stage(stageAnswer)(e) || e.What == "answer-served" }},
		{PhasePartition, stage(stageEarly)},
		{PhasePackages, stage(stagePartitioned)},
		{PhaseConfigure, stage(stagePost)},
	} {
		if at, ok := first(m.sign); ok {
			add(m.phase, at)
		}
	}
	for _, m := range afterInstall(run) {
		add(m.phase, m.at)
	}
	phases := make([]Phase, 0, len(marks))
	for i, m := range marks {
		p := Phase{Name: m.phase, Begin: m.at, End: m.at}
		if i+1 < len(marks) {
			p.End = marks[i+1].at
		} else {
			p.End = run[len(run)-1].At
		}
		p.Note = note(p, within(run, p.Begin, p.End))
		phases = append(phases, p)
	}
	return phases
}

// afterInstall finds the second boot: what the installer still read after it
// was done, the silence of the firmware, the first sign of the system.
func afterInstall(run []Entry) []mark {
	done := slices.IndexFunc(run, func(e Entry) bool { return e.Source == Installer && e.What == stageDone })
	if done < 0 {
		return nil
	}
	off, back := run[done].At, false
	for _, e := range run[done+1:] {
		switch {
		case e.Source == HTTP && e.What == filesWhat && !back:
			off = e.At
		case e.Client.Firmware() || e.Source == BMC:
			back = true
		case e.Client == ClientOS && (e.What == "discover" || e.What == "request"):
			return []mark{{PhaseReboot, run[done].At}, {PhaseSecondPOST, off}, {PhaseVerify, e.At}}
		}
	}
	return []mark{{PhaseReboot, run[done].At}, {PhaseSecondPOST, off}}
}

func within(run []Entry, begin, end time.Time) []Entry {
	var in []Entry
	for _, e := range run {
		if at := began(e); !at.Before(begin) && !at.After(end) {
			in = append(in, e)
		}
	}
	return in
}

// The notes of attempts that came to nothing begin with one of these.
const (
	noteFailed  = "failed: "
	noteGivenUp = "given up: "
)

// finish leaves the last phase open while the attempt goes on, and says why
// it ended when it failed.
func finish(all []Phase, run []Entry, now time.Time) []Phase {
	if len(all) == 0 {
		return nil
	}
	last, e := &all[len(all)-1], run[len(run)-1]
	switch {
	case !ends(e):
		last.End, last.Open = now, true
	case e.What == stageFailed:
		last.Note = noteFailed + e.Detail
	case e.What == "disarmed":
		last.Note = noteGivenUp + e.Detail
	}
	return slices.DeleteFunc(all, func(p Phase) bool { return !p.Open && p.End.Equal(p.Begin) && p.Note == "" })
}
