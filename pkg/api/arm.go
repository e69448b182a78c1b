package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

func (h *Operator) arm(w http.ResponseWriter, r *http.Request) {
	var req view.ArmRequest
	if !h.decode(w, r, &req) {
		return
	}
	req.By = by(r, req.By)
	window := req.For
	if window <= 0 {
		window = install.DefaultArming
	}
	vet := h.vetting(req.Selector)
	h.change(w, r, req, func(s *site.State, machines []*site.Machine, now time.Time) ([]site.Body, error) {
		bodies, err := install.Arm(s, machines, req.By, req.Reason, now.Add(window))
		if err != nil {
			return nil, err
		}
		return bodies, vet(s, machines)
	})
}

func (h *Operator) disarm(w http.ResponseWriter, r *http.Request) {
	var req view.ArmRequest
	if !h.decode(w, r, &req) {
		return
	}
	req.By = by(r, req.By)
	h.change(w, r, req, func(_ *site.State, machines []*site.Machine, _ time.Time) ([]site.Body, error) {
		return install.Disarm(machines, req.By, req.Reason), nil
	})
}

// change selects machines and changes them in one commit, so that what was
// selected is what is changed.
func (h *Operator) change(w http.ResponseWriter, r *http.Request, req view.ArmRequest,
	decide func(*site.State, []*site.Machine, time.Time) ([]site.Body, error),
) {
	state := h.Ledger.State()
	machines, err := pickMachines(state, req.Selector)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	if req.DryRun {
		_, err = decide(state, machines, h.Ledger.Now())
	} else {
		state, err = h.Ledger.Do(r.Context(), func(s *site.State, now time.Time) ([]site.Body, error) {
			if machines, err = pickMachines(s, req.Selector); err != nil {
				return nil, err
			}
			return decide(s, machines, now)
		})
	}
	if refusal := install.Refusal(""); errors.As(err, &refusal) {
		h.fail(w, codeRefused, err)
		return
	}
	if err != nil {
		h.fail(w, codeFailed, err)
		return
	}
	result := view.ArmResult{Seq: state.Seq}
	for _, name := range namesOf(machines) {
		if m, ok := state.Machine(name); ok {
			result.Nodes = append(result.Nodes, view.NodeOf(state, m, h.Ledger.Now()))
		}
	}
	h.reply(w, result)
}
