package api

import (
	"fmt"
	"net/http"

	"github.com/rackseed/rackseed/pkg/view"
)

// doctor looks at this machine and, if asked to, at the wire. It is a POST
// because the search sends packets.
func (h *Operator) doctor(w http.ResponseWriter, r *http.Request) {
	var req view.DoctorRequest
	if !h.decode(w, r, &req) {
		return
	}
	found, err := h.Doctor(r.Context(), req)
	if err != nil {
		h.fail(w, codeUsage, fmt.Errorf("looking at this machine: %w", err))
		return
	}
	h.reply(w, found)
}

// wire chooses the interface to serve. The daemon starts again on it, and the
// page is back in a moment.
func (h *Operator) wire(w http.ResponseWriter, r *http.Request) {
	var req view.WireRequest
	if !h.decode(w, r, &req) {
		return
	}
	if err := h.ChooseWire(r.Context(), req); err != nil {
		h.fail(w, codeRefused, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
