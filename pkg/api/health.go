package api

import (
	"net/http"

	"github.com/rackseed/rackseed/pkg/view"
)

// health answers with the checks, so that whoever finds 503 finds the reason.
func (h *Operator) health(look func() view.Health) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		found := look()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !found.OK {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		h.write(w, found)
	}
}
