package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/view"
)

// Jobs runs batches against BMCs, as the operator side needs it.
type Jobs interface {
	Start(ctx context.Context, req view.JobRequest) (view.Job, error)
	Jobs() []view.Job
	Job(id string) (view.Job, bool)
	// Follow tells every change of a job, and when it has ended the job.
	Follow(ctx context.Context, id string, tell func(view.JobChange) error) error
	Cancel(ctx context.Context, id string) error
}

func (h *Operator) startJob(w http.ResponseWriter, r *http.Request) {
	var req view.JobRequest
	if !h.decode(w, r, &req) {
		return
	}
	req.By = by(r, req.By)
	job, err := h.Jobs.Start(r.Context(), req)
	if err != nil {
		h.failJob(w, err)
		return
	}
	h.reply(w, job)
}

func (h *Operator) failJob(w http.ResponseWriter, err error) {
	code, refusal, misuse := codeFailed, install.Refusal(""), view.Misuse("")
	switch {
	case errors.As(err, &refusal):
		code = codeRefused
	case errors.As(err, &misuse):
		code = codeUsage
	}
	h.fail(w, code, err)
}

func (h *Operator) jobs(w http.ResponseWriter, _ *http.Request) {
	list := h.Jobs.Jobs()
	if list == nil {
		list = []view.Job{}
	}
	h.reply(w, list)
}

// job is one job; who accepts lines is told its changes until it has ended.
func (h *Operator) job(w http.ResponseWriter, r *http.Request) {
	id := param(r, "id")
	job, ok := h.Jobs.Job(id)
	if !ok {
		h.fail(w, codeNotFound, fmt.Errorf("there is no job %s: see `rackseed job list`", id))
		return
	}
	if r.Header.Get("Accept") != "application/x-ndjson" {
		h.reply(w, job)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, lines := http.NewResponseController(w), json.NewEncoder(w)
	err := h.Jobs.Follow(r.Context(), id, func(c view.JobChange) error {
		return errors.Join(lines.Encode(c), out.Flush())
	})
	if err != nil {
		h.Log.Debug("a reader of a job left", "job", id, "error", err)
	}
}

func (h *Operator) cancelJob(w http.ResponseWriter, r *http.Request) {
	id := param(r, "id")
	if _, ok := h.Jobs.Job(id); !ok {
		h.fail(w, codeNotFound, fmt.Errorf("there is no job %s: see `rackseed job list`", id))
		return
	}
	if err := h.Jobs.Cancel(r.Context(), id); err != nil {
		h.failJob(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
