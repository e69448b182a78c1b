package api

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// explain says what a machine would be told now, or was to be told behind an
// event.
func (h *Operator) explain(w http.ResponseWriter, r *http.Request) {
	s, now := h.Ledger.State(), h.Ledger.Now()
	past := r.URL.Query().Get("at")
	if past != "" {
		seq, err := strconv.ParseUint(past, 10, 64)
		if err != nil || seq == 0 {
			h.fail(w, codeUsage, fmt.Errorf("at=%q is not the number of an event: see `rackseed events`", past))
			return
		}
		if s, now, err = h.Follower.StateAt(r.Context(), seq); err != nil {
			h.fail(w, codeUsage, err)
			return
		}
	}
	e, err := h.Explain(s, param(r, "who"), now)
	if err != nil {
		h.fail(w, codeNotFound, err)
		return
	}
	if past != "" {
		e.Seq, e.At = s.Seq, now
	}
	h.reply(w, e)
}

func (h *Operator) profile(w http.ResponseWriter, r *http.Request) {
	p, err := h.Profile(h.Ledger.State(), param(r, "name"))
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	h.reply(w, p)
}

func (h *Operator) render(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	text, err := h.Render(h.Ledger.State(), param(r, "name"), q.Get("as"), q.Get("secrets") == "true")
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}

func (h *Operator) export(w http.ResponseWriter, r *http.Request) {
	e, err := h.Export(h.Ledger.State(), param(r, "kind"))
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	h.reply(w, e)
}
