package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Follower is the part of ledger.Ledger that readers of the log need.
type Follower interface {
	Follow(ctx context.Context, since uint64) iter.Seq2[site.Event, error]
	Events(ctx context.Context, since uint64, limit int) ([]site.Event, error)
	StateAt(ctx context.Context, seq uint64) (*site.State, time.Time, error)
}

// maxPage bounds one answer of the event log; a reader asks on from the last
// sequence it got.
const maxPage = 10_000

// heartbeat keeps proxies and sleeping laptops from mistaking silence for an
// end.
const heartbeat = 15 * time.Second

// events gives the log since N: as one array, or, to a client that accepts
// text/event-stream, as it grows. The id of each server-sent event is its
// sequence, so a browser resumes by itself.
func (h *Operator) events(w http.ResponseWriter, r *http.Request) {
	since, err := sinceOf(r)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	want, err := h.eventFilter(r)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if since, err = h.caughtUp(w, r, since); err != nil {
			h.fail(w, codeUsage, err)
			return
		}
		h.stream(w, r, since, want)
		return
	}
	limit := maxPage
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n > 0 {
		limit = min(n, maxPage)
	}
	events, err := h.page(r.Context(), since, limit, want)
	if err != nil {
		h.fail(w, codeFailed, err)
		return
	}
	h.reply(w, events)
}

// page reads on until it is full or the log ends: an empty page means that
// nothing more is there.
func (h *Operator) page(ctx context.Context, since uint64, limit int, want eventFilter) ([]site.Event, error) {
	found := []site.Event{}
	for {
		events, err := h.Follower.Events(ctx, since, maxPage)
		if err != nil || len(events) == 0 {
			return found, err
		}
		for _, e := range events {
			since = e.Seq
			if !want.event(e) {
				continue
			}
			if found = append(found, e); len(found) == limit {
				return found, nil
			}
		}
	}
}

// eventFilter picks events; the zero filter picks all.
type eventFilter struct {
	kinds []string
	nodes func(name string) bool
}

func (f eventFilter) event(e site.Event) bool {
	return (f.kinds == nil || slices.Contains(f.kinds, e.Body.Kind())) && (f.nodes == nil || f.nodes(e.Body.Subject()))
}

func (h *Operator) eventFilter(r *http.Request) (f eventFilter, err error) {
	q := r.URL.Query()
	if text := q.Get("kind"); text != "" {
		f.kinds = strings.Split(text, ",")
	}
	text := q.Get("selector")
	if text == "" {
		return f, nil
	}
	sel, err := site.ParseSelector(text)
	if err != nil {
		return f, err
	}
	if _, err := h.Ledger.State().Select(sel); err != nil {
		return f, err
	}
	f.nodes = func(name string) bool {
		m, ok := h.Ledger.State().Machine(name)
		return ok && sel.Matches(m)
	}
	return f, nil
}

func sinceOf(r *http.Request) (uint64, error) {
	text := r.URL.Query().Get("since")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		text = last
	}
	if text == "" {
		return 0, nil
	}
	since, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("since=%q is not the number of an event", text)
	}
	return since, nil
}

// caughtUp spares a reader who was away for long the events that it missed: if
// there are more than its window, it is told to load the state anew (a reset),
// and followed from there.
func (h *Operator) caughtUp(w http.ResponseWriter, r *http.Request, since uint64) (uint64, error) {
	text := r.URL.Query().Get("window")
	if text == "" {
		return since, nil
	}
	window, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("window=%q is not a number of events", text)
	}
	last := h.Ledger.State().Seq
	if since <= last && last-since <= window {
		return since, nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, err = fmt.Fprintf(w, "id: %d\nevent: reset\ndata: {\"seq\":%d}\n\n", last, last)
	if err != nil {
		h.Log.Debug("a reset was not delivered", "error", err) // the stream ends by itself
	}
	return last, nil
}

// unsent bounds the events that wait for a follower's line. A storm of them
// leaves in few packets.
const unsent = 256

func (h *Operator) stream(w http.ResponseWriter, r *http.Request, since uint64, want eventFilter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	if err := out.Flush(); err != nil {
		return
	}
	h.Followers.Add(1)
	defer h.Followers.Add(-1)
	events := make(chan site.Event, unsent)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		defer close(events)
		for e, err := range h.Follower.Follow(ctx, since) {
			if err != nil {
				h.Log.Error("a follower of the log was cut off", "seq", since, "error", err)
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	beat := time.NewTicker(h.heartbeat())
	defer beat.Stop()
	for seen := since; ; {
		var err error
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			if seen = e.Seq; want.event(e) {
				err = writeEvent(w, e)
			}
		case <-beat.C:
			// An id without data tells a browser where to go on, and nothing
			// else: what the filter left out is not read again.
			_, err = fmt.Fprintf(w, ": still here\nid: %d\n\n", seen)
		}
		if err == nil && len(events) == 0 {
			err = out.Flush()
		}
		if err != nil {
			return
		}
	}
}

func (h *Operator) heartbeat() time.Duration {
	if h.Heartbeat > 0 {
		return h.Heartbeat
	}
	return heartbeat
}

func writeEvent(w http.ResponseWriter, e site.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Body.Kind(), data)
	return err
}

// copyLog sends the file of the log. Its secrets are sealed, with a key that
// is not in it.
func (h *Operator) copyLog(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := h.CopyLog(w); err != nil {
		h.Log.Error("the log was not copied whole", "error", err)
		panic(http.ErrAbortHandler) // a copy that is cut must not look whole
	}
}
