package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

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
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		h.stream(w, r, since)
		return
	}
	limit := maxPage
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n > 0 {
		limit = min(n, maxPage)
	}
	events, err := h.Follower.Events(r.Context(), since, limit)
	if err != nil {
		h.fail(w, codeFailed, err)
		return
	}
	if events == nil {
		events = []site.Event{}
	}
	h.reply(w, events)
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

func (h *Operator) stream(w http.ResponseWriter, r *http.Request, since uint64) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	if err := out.Flush(); err != nil {
		return
	}
	events := make(chan site.Event)
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
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			err = writeEvent(w, e)
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

func writeEvent(w http.ResponseWriter, e site.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Body.Kind(), data)
	return err
}
