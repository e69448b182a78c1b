package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/site"
)

// Flight is the part of flight.Recorder that the operator side needs.
type Flight interface {
	Timeline(node string, since time.Time) []flight.Entry
	Follow(ctx context.Context, node string, since time.Time) iter.Seq[flight.Entry]
	Pcap(ctx context.Context, w io.Writer, node string, since, until time.Time) (packets int, err error)
}

// recordOf finds what is recorded of a machine: what was seen of its MACs
// before a plan named it belongs to it.
func (h *Operator) recordOf(r *http.Request) (name string, entries []flight.Entry, ok bool) {
	name = param(r, "name")
	s := h.Ledger.State()
	m, planned := s.Machine(name)
	if mac, err := site.ParseMAC(name); !planned && err == nil {
		name = mac.String()
		m, planned = s.MachineByMAC(mac)
	}
	if planned {
		name = m.Node.Name
		return name, h.entriesOf(m), true
	}
	entries = h.Flight.Timeline(name, time.Time{})
	return name, entries, len(entries) > 0
}

func (h *Operator) entriesOf(m *site.Machine) []flight.Entry {
	entries := h.Flight.Timeline(m.Node.Name, time.Time{})
	for _, mac := range m.Node.MACs {
		entries = append(entries, h.Flight.Timeline(mac.String(), time.Time{})...)
	}
	slices.SortStableFunc(entries, func(a, b flight.Entry) int { return a.At.Compare(b.At) })
	return entries
}

// timeline gives what was recorded of a machine, with its causes and an
// account of its time, or, to a client that accepts text/event-stream, each
// entry as it is recorded.
func (h *Operator) timeline(w http.ResponseWriter, r *http.Request) {
	since, err := timeOf(r, "since")
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	attempt, err := attemptOf(r)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	name, entries, ok := h.recordOf(r)
	if !ok {
		h.fail(w, codeNotFound, fmt.Errorf("nothing is recorded of %s, and the plan does not name it: see `rackseed node list`", name))
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		h.followFlight(w, r, name, since)
		return
	}
	now := h.Ledger.Now()
	t := flight.Timeline{Node: name, Findings: flight.Diagnose(entries, now)}
	run := flight.RunOf(name, entries, attempt, now)
	t.Attempt, t.Phases = run.Attempt, run.Phases
	t.Entries = slices.DeleteFunc(entries, func(e flight.Entry) bool { return e.At.Before(since) })
	t.Findings = slices.DeleteFunc(t.Findings, func(f flight.Diagnosis) bool { return f.At.Before(since) })
	if t.Entries == nil {
		t.Entries = []flight.Entry{}
	}
	if t.Findings == nil {
		t.Findings = []flight.Diagnosis{}
	}
	h.reply(w, t)
}

func timeOf(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s=%q is not a time such as 2026-11-22T08:30:00Z", name, text)
	}
	return at, nil
}

func attemptOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("attempt")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("attempt=%q is not the number of an attempt", text)
	}
	return n, nil
}

// followFlight sends entries as server-sent events.
func (h *Operator) followFlight(w http.ResponseWriter, r *http.Request, name string, since time.Time) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	if err := out.Flush(); err != nil {
		return
	}
	entries := make(chan flight.Entry)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		defer close(entries)
		for e := range h.Flight.Follow(ctx, name, since) {
			select {
			case entries <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	beat := time.NewTicker(cmp.Or(h.Heartbeat, 15*time.Second))
	defer beat.Stop()
	for {
		var err error
		select {
		case e, ok := <-entries:
			if !ok {
				return
			}
			err = writeEntry(w, e)
		case <-beat.C:
			_, err = fmt.Fprint(w, ":\n\n")
		}
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			return
		}
	}
}

func writeEntry(w io.Writer, e flight.Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: entry\ndata: %s\n\n", data)
	return err
}

// pcap gives the packets of one attempt, or of all that is kept.
func (h *Operator) pcap(w http.ResponseWriter, r *http.Request) {
	attempt, err := attemptOf(r)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	name, entries, ok := h.recordOf(r)
	if !ok {
		h.fail(w, codeNotFound, fmt.Errorf("nothing is recorded of %s: see `rackseed node list`", name))
		return
	}
	var since, until time.Time
	if attempt > 0 {
		begin, end, ok := flight.WindowOf(entries, attempt)
		if !ok {
			h.fail(w, codeNotFound, fmt.Errorf("%s has no attempt %d: `rackseed node show %s --timeline` shows which there are", name, attempt, name))
			return
		}
		// A packet is a moment older than what was made of it.
		since, until = begin.Add(-time.Second), end
	}
	var file bytes.Buffer // two files of a few megabytes at most
	if _, err := h.Flight.Pcap(r.Context(), &file, name, since, until); err != nil {
		h.fail(w, codeFailed, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.tcpdump.pcap")
	w.Header().Set("Content-Disposition", `attachment; filename="`+strings.ReplaceAll(name, ":", "-")+`.pcap"`)
	w.Header().Set("Content-Length", strconv.Itoa(file.Len()))
	_, _ = w.Write(file.Bytes())
}

// batch accounts for the time of many machines.
func (h *Operator) batch(w http.ResponseWriter, r *http.Request) {
	s := h.Ledger.State()
	machines, err := s.Machines(), error(nil)
	if text := r.URL.Query().Get("selector"); text != "" {
		machines, err = pickMachines(s, text)
	}
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	now := h.Ledger.Now()
	runs := make([]flight.Run, 0, len(machines))
	for _, m := range machines {
		run := flight.RunOf(m.Node.Name, h.entriesOf(m), 0, now)
		run.State = string(m.Phase)
		runs = append(runs, run)
	}
	h.reply(w, flight.BatchOf(runs))
}
