package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/discovery"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// ReadPlan parses and checks the text of a plan with the role profiles that
// the site brought. A plan that does not parse has findings and no plan.
type ReadPlan func(name string, data []byte, profiles map[string]string) (plan *site.Plan, digest string, findings []view.Finding)

// maxPlan bounds a plan's text: 16,000 nodes written out one by one take
// about 5 MB.
const maxPlan = 64 << 20

// PlanTexts keeps plans as they were written, with their comments, so that
// the one in force can be edited. The log holds what they mean.
type PlanTexts interface {
	Keep(digest, text string) error
	// Text is fs.ErrNotExist for a plan that was not kept.
	Text(digest string) (string, error)
}

// planRequest takes a bare plan too, which is what an operator has at hand.
func planRequest(w http.ResponseWriter, r *http.Request) (req view.PlanRequest, err error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPlan))
	if err != nil {
		return req, err
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return view.PlanRequest{Plan: string(data)}, nil
	}
	return req, json.Unmarshal(data, &req)
}

// plan checks a plan and, unless asked not to, puts it in force.
func (h *Operator) plan(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	request, err := planRequest(w, r)
	if err != nil {
		h.fail(w, codeUsage, fmt.Errorf("reading the plan: %w", err))
		return
	}
	switch {
	case request.Profiles == nil:
		request.Profiles = h.Ledger.State().Settings.Profiles // the page and curl send the plan alone
	case len(request.Profiles) == 0:
		request.Profiles = nil
	}
	plan, digest, findings := h.ReadPlan(q.Get("name"), []byte(request.Plan), request.Profiles)
	result := view.PlanResult{Findings: findings}
	if plan == nil || hasError(findings) {
		h.reply(w, result)
		return
	}
	result.Nodes = len(plan.Nodes)
	plan.Access.Root = h.Seal.Seal(plan.Access.Root)
	if q.Get("dry_run") == "true" {
		s := h.Ledger.State()
		bodies := site.Diff(s, plan, digest, by(r, q.Get("by")))
		result.Changes = describe(bodies)
		if err := MayApply(s, plan, bodies); err != nil {
			result.Refused = err.Error()
		}
		h.reply(w, result)
		return
	}
	var bodies []site.Body
	s, err := h.Ledger.Do(r.Context(), func(s *site.State, _ time.Time) ([]site.Body, error) {
		bodies = site.Diff(s, plan, digest, by(r, q.Get("by")))
		return bodies, MayApply(s, plan, bodies)
	})
	if refusal := install.Refusal(""); errors.As(err, &refusal) {
		h.fail(w, codeRefused, err)
		return
	}
	if err != nil {
		h.fail(w, codeFailed, fmt.Errorf("recording the plan: %w", err))
		return
	}
	h.keepPlan(digest, request.Plan)
	result.Changes, result.Applied, result.Seq = describe(bodies), true, s.Seq
	h.reply(w, result)
}

func hasError(findings []view.Finding) bool {
	for _, f := range findings {
		if f.Severity == string(site.SeverityError) {
			return true
		}
	}
	return false
}

func describe(bodies []site.Body) []string {
	var words []string
	for _, b := range bodies {
		words = append(words, strings.TrimSpace(b.Kind()+" "+b.Subject()))
	}
	return words
}

// MayApply refuses a plan that takes away what is being installed, or a MAC of
// it, or under which what was adopted no longer makes sense.
func MayApply(s *site.State, p *site.Plan, bodies []site.Body) error {
	if err := busyNodes(s, bodies); err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, b := range bodies {
		switch b.(type) {
		case site.NodeUnplanned, site.NodePlanned:
			gone[b.Subject()] = true
		}
	}
	var kept []site.Node
	for _, m := range s.Machines() {
		if m.Node.Adopted && !gone[m.Node.Name] {
			kept = append(kept, *m.Node)
		}
	}
	return discovery.FitsPlan(p, kept)
}

// busyNodes refuses to take a node, or a MAC of it, away while its install
// runs: the machine would be left without a daemon that knows it, or be told
// what another is to be told.
func busyNodes(s *site.State, bodies []site.Body) error {
	for _, b := range bodies {
		m, ok := s.Machine(b.Subject())
		if !ok || !m.Running() {
			continue
		}
		name := m.Node.Name
		switch b := b.(type) {
		case site.NodeUnplanned:
			return install.Refusal(fmt.Sprintf("the plan leaves out %s, which is being installed: wait for it, or `rackseed disarm %s` first", name, name))
		case site.NodePlanned:
			if m.Node.Adopted && !b.Node.Adopted {
				return install.Refusal(fmt.Sprintf("the plan takes %s over, which was adopted and is being installed: wait for it, or `rackseed disarm %s` first", name, name))
			}
			if i := slices.IndexFunc(m.Node.MACs, func(mac site.MAC) bool { return !slices.Contains(b.Node.MACs, mac) }); i >= 0 {
				return install.Refusal(fmt.Sprintf("the plan takes MAC %s from %s, which is being installed: wait for it, or `rackseed disarm %s` first", m.Node.MACs[i], name, name))
			}
		}
	}
	return nil
}

// textInForce is the plan in force as it was written; what went wrong is
// answered.
func (h *Operator) textInForce(w http.ResponseWriter, digest string) (text string, ok bool) {
	text, err := h.PlanTexts.Text(digest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.fail(w, codeNotFound, errors.New("the text of the plan in force was not kept here: open its file"))
		return "", false
	case err != nil:
		h.fail(w, codeFailed, fmt.Errorf("reading the plan in force: %w", err))
		return "", false
	}
	return text, true
}

// planText gives the plan in force as it was written.
func (h *Operator) planText(w http.ResponseWriter, _ *http.Request) {
	digest := h.Ledger.State().PlanDigest
	text := ""
	if digest != "" {
		var ok bool
		if text, ok = h.textInForce(w, digest); !ok {
			return
		}
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text)
}

// keepPlan remembers the text of a plan that is in force. The plan counts
// even if its text could not be kept.
func (h *Operator) keepPlan(digest, text string) {
	if err := h.PlanTexts.Keep(digest, text); err != nil {
		h.Log.Error("the text of the plan was not kept; it is in force", "error", err)
	}
}

// maxSheet bounds a request with an asset sheet and a plan in it: a sheet of
// 16,000 machines has 2 MB.
const maxSheet = 96 << 20

// importSheet says what an asset sheet would bring into a plan. It changes
// nothing.
func (h *Operator) importSheet(w http.ResponseWriter, r *http.Request) {
	var req view.SheetRequest
	if !h.decodeUpTo(w, r, &req, maxSheet) {
		return
	}
	result, err := h.ImportSheet(req)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	h.reply(w, result)
}
