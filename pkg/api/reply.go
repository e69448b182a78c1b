package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/view"
)

// The codes of a problem, which the CLI turns into exit statuses.
const (
	codeUsage    = "usage"
	codeRefused  = "refused"
	codeNotFound = "not-found"
	codeMethod   = "method"
	codeFailed   = "failed"
)

func (h *Operator) fail(w http.ResponseWriter, code string, err error) {
	status := map[string]int{
		codeUsage: http.StatusBadRequest, codeRefused: http.StatusConflict,
		codeNotFound: http.StatusNotFound, codeMethod: http.StatusMethodNotAllowed, codeFailed: http.StatusInternalServerError,
	}[code]
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	h.write(w, view.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: err.Error(), Code: code})
}

func (h *Operator) reply(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json")
	h.write(w, doc)
}

func (h *Operator) write(w io.Writer, doc any) {
	if err := json.NewEncoder(w).Encode(doc); err != nil {
		h.Log.Debug("a reply was not delivered", "error", err)
	}
}

func (h *Operator) decode(w http.ResponseWriter, r *http.Request, into any) bool {
	return h.decodeUpTo(w, r, into, 1<<20)
}

func (h *Operator) decodeUpTo(w http.ResponseWriter, r *http.Request, into any, limit int64) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		h.fail(w, codeUsage, fmt.Errorf("reading the request: %w", err))
		return false
	}
	return true
}

// param undoes the escaping that chi leaves in a path parameter.
func param(r *http.Request, name string) string {
	raw := chi.URLParam(r, name)
	if text, err := url.PathUnescape(raw); err == nil {
		return text
	}
	return raw
}
