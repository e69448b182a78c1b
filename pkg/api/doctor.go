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
