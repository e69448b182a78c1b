package api

import (
	"errors"
	"net/http"

	"github.com/rackseed/rackseed/pkg/install"
)

// resumeDHCP has the daemon look whether the other DHCP server is gone.
func (h *Operator) resumeDHCP(w http.ResponseWriter, r *http.Request) {
	err := error(install.Refusal("no daemon serves: start it with `rackseed serve`"))
	if h.ResumeDHCP != nil {
		err = h.ResumeDHCP(r.Context())
	}
	refusal := install.Refusal("")
	switch {
	case errors.As(err, &refusal):
		h.fail(w, codeRefused, err)
	case err != nil:
		h.fail(w, codeFailed, err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
