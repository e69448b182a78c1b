package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/rackseed/rackseed/pkg/view"
)

// PlanTexts keeps plans as they were written, with their comments, so that
// the one in force can be edited. The log holds what they mean.
type PlanTexts interface {
	Keep(digest, text string) error
	// Text is fs.ErrNotExist for a plan that was not kept.
	Text(digest string) (string, error)
}

// planText gives the plan in force as it was written.
func (h *Operator) planText(w http.ResponseWriter, _ *http.Request) {
	digest := h.Ledger.State().PlanDigest
	text := ""
	if digest != "" {
		var err error
		switch text, err = h.PlanTexts.Text(digest); {
		case errors.Is(err, fs.ErrNotExist):
			h.fail(w, codeNotFound, errors.New("the text of the plan in force was not kept here: open its file"))
			return
		case err != nil:
			h.fail(w, codeFailed, fmt.Errorf("reading the plan in force: %w", err))
			return
		}
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text)
}

// maxSheet bounds a request with an asset sheet and a plan in it: a sheet of
// 16,000 machines has 2 MB.
const maxSheet = 96 << 20

// importSheet says what an asset sheet would bring into a plan. It changes
// nothing.
func (h *Operator) importSheet(w http.ResponseWriter, r *http.Request) {
	var req view.SheetRequest
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSheet))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		h.fail(w, codeUsage, fmt.Errorf("reading the request: %w", err))
		return
	}
	result, err := h.ImportSheet(req)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	h.reply(w, result)
}

// keepPlan remembers the text of a plan that is in force. The plan counts
// even if its text could not be kept.
func (h *Operator) keepPlan(digest, text string) {
	if err := h.PlanTexts.Keep(digest, text); err != nil {
		h.Log.Error("the text of the plan was not kept; it is in force", "error", err)
	}
}
