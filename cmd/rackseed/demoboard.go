package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// demoBoard is the demo as a person watches it.
type demoBoard struct {
	page    string
	speed   float64
	start   time.Time
	rows    []*demoRow
	byName  map[string]*demoRow
	drawn   int // lines of the last drawing
	colours bool
}

type demoRow struct {
	name     string
	firmware sim.Firmware
	fault    sim.Fault
	phase    site.Phase
	stage    string
	note     string
	ended    bool // its part of the job has
}

func newDemoBoard(started view.Job, rack []*sim.Machine, page string, speed float64) *demoBoard {
	b := &demoBoard{page: page, speed: speed, start: time.Now(), byName: map[string]*demoRow{}, colours: os.Getenv("NO_COLOR") == ""}
	machines := map[string]*sim.Machine{}
	for _, m := range rack {
		machines[m.Label] = m
	}
	for _, t := range started.Results {
		m := machines[dataOf[view.InstallTarget](t).Serial]
		r := &demoRow{name: t.Target, phase: site.PhasePlanned, firmware: m.Firmware, fault: m.Fault}
		b.rows = append(b.rows, r)
		b.byName[t.Target] = r
	}
	return b
}

func (b *demoBoard) apply(e site.Event) {
	r, ok := b.byName[e.Body.Subject()]
	if !ok {
		return
	}
	switch body := e.Body.(type) {
	case site.Armed:
		r.phase, r.stage, r.note = site.PhaseArmed, "", ""
	case site.Disarmed:
		r.phase, r.stage = site.PhasePlanned, ""
	case site.NodeHeld:
		r.phase, r.note = site.PhaseHeld, body.Reason
	case site.JobStep:
		r.note = body.What
	case site.JobNodeDone:
		if r.ended = true; !body.OK {
			r.note = body.Message
		}
	case site.InstallStarted:
		r.phase, r.stage, r.note = site.PhaseBooting, "loader", ""
	case site.InstallResumed:
		r.note = "the installer came back after a power cut"
	case site.InstallProgress:
		r.phase, r.stage = site.PhaseInstalling, body.Stage
	case site.InstallDone:
		r.phase, r.stage = site.PhaseInstalled, "first boot"
	case site.InstallFailed:
		r.phase, r.note = site.PhaseFailed, body.Reason
	case site.NodeVerified:
		r.phase, r.stage = site.PhaseReady, ""
		if len(body.Deviations) > 0 {
			r.phase, r.note = site.PhaseInstalled, body.Deviations[0]
		}
	}
}

// right reports a machine that ended as its fault lets it, and for the reason
// that its fault gives.
func (r *demoRow) right() bool {
	if !r.ended {
		return false
	}
	recovers, why := demoRecovers(r.fault)
	return r.phase == site.PhaseReady && recovers || r.phase != site.PhaseReady && why != "" && strings.Contains(r.note, why)
}

func (b *demoBoard) settled() bool {
	return !slices.ContainsFunc(b.rows, func(r *demoRow) bool { return !r.ended })
}

func (b *demoBoard) count(p site.Phase) int {
	n := 0
	for _, r := range b.rows {
		if r.phase == p {
			n++
		}
	}
	return n
}

// summary is what came of it, and of each machine that is not ready the
// reason, whole.
func (b *demoBoard) summary() []string {
	lines := []string{fmt.Sprintf("%d of %d machines are ready after %s (%s of a real rack's time).", b.count(site.PhaseReady), len(b.rows),
		time.Since(b.start).Round(100*time.Millisecond), (time.Duration(float64(time.Since(b.start)) * b.speed)).Round(time.Second))}
	for _, r := range b.rows {
		if r.phase == site.PhaseReady {
			continue
		}
		line := r.name + ": " + b.words(r)
		if r.right() {
			line += fmt.Sprintf(" (as wanted: --fault %s)", r.fault)
		}
		lines = append(lines, line)
	}
	return lines
}

func (b *demoBoard) verdict() error {
	wrong := 0
	for _, r := range b.rows {
		if !r.right() {
			wrong++
		}
	}
	if wrong > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %d machines are not where they should be", wrong, len(b.rows))}
	}
	return nil
}

// draw paints over the last drawing. A line that the terminal would wrap, or
// a row below its edge, would spoil the next one: both are cut; the page
// shows everything.
func (b *demoBoard) draw(w io.Writer) {
	width, height := terminalSize(w)
	lines := []string{
		cut(fmt.Sprintf("Rackseed demo: %d simulated machines, %.0f× real time, real packets on loopback", len(b.rows), b.speed), width),
		cut(b.page+"   ctrl-C ends", width), "",
	}
	for _, r := range b.rows[:min(len(b.rows), max(height-7, 3))] {
		text := cut(fmt.Sprintf("  %-10s %-9s %s  %s", r.name, r.firmware, bar(r), b.words(r)), width)
		lines = append(lines, strings.Replace(text, bar(r), b.paint(r.phase, bar(r)), 1))
	}
	lines = append(lines, "", cut("  "+b.counts(), width))
	var out strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", b.drawn)
	}
	for _, l := range lines {
		out.WriteString(l + "\x1b[K\n")
	}
	b.drawn = len(lines)
	_, _ = io.WriteString(w, out.String())
}

// cut shortens text to one line of a terminal.
func cut(text string, width int) string {
	runes := []rune(text)
	if len(runes) < width {
		return text
	}
	return string(runes[:max(width-2, 0)]) + "…"
}

func (b *demoBoard) words(r *demoRow) string {
	text := string(r.phase)
	if r.stage != "" && r.phase != site.PhaseReady {
		text += ", " + r.stage
	}
	canary := b.rows[0]
	switch note := strings.TrimPrefix(r.note, "at "+r.stage+": "); {
	case note != "":
		text += ": " + note
	case r.phase == site.PhasePlanned && r != canary && !canary.ended:
		text += ": waits for the canary"
	}
	return text
}

func (b *demoBoard) counts() string {
	var parts []string
	for _, p := range []site.Phase{site.PhasePlanned, site.PhaseArmed, site.PhaseBooting, site.PhaseInstalling, site.PhaseInstalled, site.PhaseReady, site.PhaseFailed, site.PhaseHeld} {
		if n := b.count(p); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p))
		}
	}
	return fmt.Sprintf("%s   %s", strings.Join(parts, " · "), time.Since(b.start).Round(time.Second))
}

// bar is how far a machine has come.
func bar(r *demoRow) string {
	const width = 24
	at := 0
	switch r.phase {
	case site.PhaseReady:
		at = width
	case site.PhaseArmed, site.PhasePlanned:
	default:
		stages := []string{"loader", "answer", "early", "disk", "partitioned", "packages", "post", "first boot"}
		at = (slices.Index(stages, r.stage) + 1) * width / (len(stages) + 1)
	}
	return strings.Repeat("█", at) + strings.Repeat("░", width-at)
}

func (b *demoBoard) paint(p site.Phase, text string) string {
	if !b.colours {
		return text
	}
	colour := map[site.Phase]int{site.PhaseReady: 32, site.PhaseFailed: 31, site.PhaseInstalling: 34, site.PhaseBooting: 36, site.PhaseInstalled: 33}[p]
	if colour == 0 {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, text)
}
