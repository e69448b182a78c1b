package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// Consoles records the serial consoles of machines, as the operator side
// needs it.
type Consoles interface {
	Start(node string, d time.Duration) error
	Stop(node string) bool
	Recordings() []view.Recording
	// Copy records a person's own session.
	Copy(ctx context.Context, node string, in io.Reader) (lines int, err error)
}

// maxFound bounds a request: an inventory of a full machine takes 20 kB.
const maxFound = 64 << 20

// adoptBMCs gives planned nodes the BMCs that are theirs, one commit each, so
// that each sees what was adopted before it.
func (h *Operator) adoptBMCs(w http.ResponseWriter, r *http.Request) {
	var req view.AdoptRequest
	if !h.decodeUpTo(w, r, &req, maxFound) {
		return
	}
	req.By = by(r, req.By)
	result := view.AdoptResult{BMCs: []view.AdoptedBMC{}}
	for _, f := range req.BMCs {
		one, err := h.adoptBMC(r.Context(), f, req)
		if err != nil {
			h.fail(w, codeFailed, fmt.Errorf("recording that %s was adopted: %w", f.Address, err))
			return
		}
		result.BMCs = append(result.BMCs, one)
	}
	h.reply(w, result)
}

func (h *Operator) adoptBMC(ctx context.Context, f view.FoundBMC, req view.AdoptRequest) (view.AdoptedBMC, error) {
	one := view.AdoptedBMC{Address: f.Address}
	found := site.FoundBMC{Address: f.Address, Protocol: f.Protocol, Username: f.Username, Password: h.Seal.Seal(f.Password), Known: f.Known, Inventory: f.Inventory}
	decide := func(s *site.State, now time.Time) ([]site.Body, error) {
		one.Node, one.By, one.Note, one.OK, one.New = "", "", "", false, false
		mine := found
		m, why, err := s.Claim(mine.Inventory)
		if m != nil {
			one.Node, one.By = m.Node.Name, why
			if h.sameLogin(s, m, mine) {
				mine.Username, mine.Password = "", ""
			}
		}
		if err != nil {
			one.Note = err.Error()
			return nil, nil
		}
		_, bodies, err := s.AdoptBMC(mine, req.By, now)
		if err != nil {
			one.Note = err.Error()
			return nil, nil
		}
		one.OK = true
		for _, b := range bodies {
			if _, ok := b.(site.BMCAdopted); ok {
				one.New = true
			}
		}
		return bodies, nil
	}
	if req.DryRun {
		_, err := decide(h.Ledger.State(), h.Ledger.Now())
		return one, err
	}
	_, err := h.Ledger.Do(ctx, decide)
	return one, err
}

// sameLogin: what the plan says of a password is not kept twice, because the
// plan's may be changed.
func (h *Operator) sameLogin(s *site.State, m *site.Machine, f site.FoundBMC) bool {
	b := s.BMCOf(m)
	if f.Password == "" || b.Username != f.Username || h.Reveal == nil {
		return false
	}
	have, err := h.Reveal(b.Password)
	if err != nil {
		return false
	}
	given, err := h.Seal.Open(f.Password)
	return err == nil && given == have.Reveal()
}

// forgetBMC has a node use again what the plan says of its BMC.
func (h *Operator) forgetBMC(w http.ResponseWriter, r *http.Request) {
	name := param(r, "name")
	known := true
	_, err := h.Ledger.Do(r.Context(), func(s *site.State, _ time.Time) ([]site.Body, error) {
		if _, known = s.Access.Get(name); !known {
			return nil, nil
		}
		return []site.Body{site.BMCForgotten{Node: name, By: by(r, r.URL.Query().Get("by"))}}, nil
	})
	switch {
	case err != nil:
		h.fail(w, codeFailed, fmt.Errorf("recording it: %w", err))
	case !known:
		h.fail(w, codeNotFound, fmt.Errorf("nothing is known of the BMC of %s beside the plan", name))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

var errNoConsoles = errors.New("consoles are recorded by a running daemon: start `rackseed serve`")

func (h *Operator) recordings(w http.ResponseWriter, _ *http.Request) {
	list := []view.Recording{}
	if h.Consoles != nil {
		list = append(list, h.Consoles.Recordings()...)
	}
	h.reply(w, list)
}

// recorder is for a node that the plan has.
func (h *Operator) recorder(w http.ResponseWriter, r *http.Request) (node string, ok bool) {
	node = param(r, "name")
	_, planned := h.Ledger.State().Machine(node)
	switch {
	case h.Consoles == nil:
		h.fail(w, codeUsage, errNoConsoles)
	case !planned:
		h.fail(w, codeNotFound, h.Ledger.State().NoNode(node))
	default:
		return node, true
	}
	return node, false
}

func (h *Operator) startRecording(w http.ResponseWriter, r *http.Request) {
	node, ok := h.recorder(w, r)
	var req view.RecordingRequest
	if !ok || !h.decode(w, r, &req) {
		return
	}
	if err := h.Consoles.Start(node, req.For); err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *Operator) stopRecording(w http.ResponseWriter, r *http.Request) {
	node, ok := h.recorder(w, r)
	if !ok {
		return
	}
	if !h.Consoles.Stop(node) {
		h.fail(w, codeNotFound, fmt.Errorf("the console of %s is not being recorded", node))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// copyConsole records what a person sees, while it is seen.
func (h *Operator) copyConsole(w http.ResponseWriter, r *http.Request) {
	node, ok := h.recorder(w, r)
	if !ok {
		return
	}
	lines, err := h.Consoles.Copy(r.Context(), node, r.Body)
	if err != nil {
		h.Log.Debug("a console session ended", "node", node, "error", err)
	}
	h.reply(w, view.Recorded{Lines: lines})
}
