package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/view"
)

// jobBoard is a job as a person watches it: how far it is, what is talked to
// now, what failed.
type jobBoard struct {
	title   string
	start   time.Time
	rows    []*view.JobResult
	byName  map[string]*view.JobResult
	begun   map[string]time.Time
	took    []time.Duration // of those that are done
	drawn   int             // lines of the last drawing
	colours bool
}

func newJobBoard(title string) *jobBoard {
	return &jobBoard{title: title, start: time.Now(), byName: map[string]*view.JobResult{}, begun: map[string]time.Time{}, colours: os.Getenv("NO_COLOR") == ""}
}

func (b *jobBoard) begin(targets []view.JobResult) {
	for _, t := range targets {
		row := t
		b.rows = append(b.rows, &row)
		b.byName[t.Target] = &row
	}
}

func (b *jobBoard) apply(c view.JobChange) {
	r, ok := b.byName[c.Target]
	if !ok {
		return
	}
	now := time.Now()
	if _, ok := b.begun[c.Target]; !ok {
		b.begun[c.Target] = now
	}
	if batch.Phase(c.Phase) == batch.Done && batch.Phase(r.Phase) != batch.Done {
		b.took = append(b.took, now.Sub(b.begun[c.Target]))
	}
	r.Phase, r.Message = c.Phase, c.What
}

// left estimates the time until the end from those that are done: what runs
// takes as long as they did, and what waits follows as many at a time as run
// now. It is zero as long as nobody knows.
func (b *jobBoard) left(now time.Time) time.Duration {
	if len(b.took) == 0 {
		return 0
	}
	sum := time.Duration(0)
	for _, d := range b.took {
		sum += d
	}
	each := sum / time.Duration(len(b.took))
	running, waiting, longest := 0, 0, time.Duration(0)
	for _, r := range b.rows {
		switch batch.Phase(r.Phase) {
		case batch.Running, batch.Retrying:
			running++
			longest = max(longest, each-now.Sub(b.begun[r.Target]))
		case batch.Done, batch.Failed, batch.NotStarted:
		default:
			waiting++
		}
	}
	waves := 0
	if waiting > 0 {
		waves = (waiting + max(running, 1) - 1) / max(running, 1)
	}
	return longest + time.Duration(waves)*each
}

// draw paints over the last drawing. What failed comes first, then what is
// under way, then the rest as far as the terminal is high.
func (b *jobBoard) draw(w io.Writer) {
	width, height := terminalSize(w)
	counts := map[batch.Phase]int{}
	for _, r := range b.rows {
		counts[batch.Phase(r.Phase)]++
	}
	ended := counts[batch.Done] + counts[batch.Failed] + counts[batch.NotStarted]
	lines := []string{cut(fmt.Sprintf("%s  %s  %d of %d  %s", b.title, progress(ended, len(b.rows), 24), ended, len(b.rows), b.words(counts)), width)}
	room := max(height-3, 3)
	for _, phase := range []batch.Phase{batch.Failed, batch.Retrying, batch.Running, batch.Done, batch.NotStarted} {
		for _, r := range b.rows {
			if batch.Phase(r.Phase) == phase && len(lines) <= room {
				lines = append(lines, b.paint(phase, cut(fmt.Sprintf("  %-20s %-11s %s", r.Target, r.Phase, r.Message), width)))
			}
		}
	}
	var out strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", b.drawn)
	}
	for _, l := range lines {
		out.WriteString(l + "\x1b[K\n")
	}
	out.WriteString("\x1b[J")
	b.drawn = len(lines)
	_, _ = io.WriteString(w, out.String())
}

func (b *jobBoard) words(counts map[batch.Phase]int) string {
	var parts []string
	for _, p := range []batch.Phase{batch.Running, batch.Retrying, batch.Done, batch.Failed, batch.NotStarted} {
		if n := counts[p]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p))
		}
	}
	parts = append(parts, time.Since(b.start).Round(time.Second).String())
	if left := b.left(time.Now()); left > 10*time.Second {
		parts = append(parts, "about "+left.Round(10*time.Second).String()+" left")
	}
	return strings.Join(parts, " · ")
}

// progress is a bar.
func progress(at, of, width int) string {
	n := 0
	if of > 0 {
		n = at * width / of
	}
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}

func (b *jobBoard) paint(p batch.Phase, text string) string {
	colour := map[batch.Phase]int{batch.Done: 32, batch.Failed: 31, batch.Retrying: 33, batch.Running: 34}[p]
	if !b.colours || colour == 0 {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, text)
}
