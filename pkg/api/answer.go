package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

// errGone answers every request for an answer file that may not be had, in
// the same words: whoever guesses learns nothing.
var errGone = errors.New("no such answer file")

// answer serves a file of the attempt that a token belongs to, to the
// machine that the attempt belongs to, while the attempt runs.
func (h *Machine) answer(w http.ResponseWriter, r *http.Request) {
	token, name, from := chi.URLParam(r, "token"), chi.URLParam(r, "file"), clientOf(r)
	s := h.Ledger.State()
	m, ok := s.MachineByToken(seal.HashToken(token))
	if !ok || !m.Running() {
		http.Error(w, errGone.Error(), http.StatusNotFound)
		return
	}
	log := h.Log.With("node", m.Node.Name, "attempt", m.Attempt.Number)
	if !h.belongs(s, m, from) {
		log.Warn("an answer file was asked for from an address that is not the node's", "addr", from,
			"then", "if another DHCP server gave it that one, `rackseed doctor` names the other server: switch it off, or serve beside it with --dhcp proxy; then start the machine again")
		http.Error(w, errGone.Error(), http.StatusNotFound)
		return
	}
	image, ok := s.ImageByDigest(m.Attempt.Image)
	if !ok {
		log.Error("the image of a running attempt is gone", "image", m.Attempt.Image)
		http.Error(w, errGone.Error(), http.StatusServiceUnavailable)
		return
	}
	answers, err := h.Compose.Answers(s, m.Node, image, m.Attempt.Number, m.Attempt.MAC, serverOf(r).HTTP, token)
	if err != nil {
		log.Error("an answer file does not render", "error", err)
		http.Error(w, errGone.Error(), http.StatusServiceUnavailable)
		return
	}
	file, main, ok := pick(answers, name)
	if !ok {
		http.Error(w, errGone.Error(), http.StatusNotFound)
		return
	}
	if r.Method != http.MethodHead {
		if err := h.recordAnswer(r, m, file, main, from); err != nil {
			log.Error("an answer file was not handed out because it could not be recorded", "error", err)
			status := http.StatusServiceUnavailable
			if errors.Is(err, errGone) {
				status = http.StatusNotFound
			}
			http.Error(w, errGone.Error(), status)
			return
		}
	}
	h.observe(Served{What: "answer", Name: name, Node: m.Node.Name, Addr: from})
	serveText(w, r, file.Type, file.Data)
}

func pick(a answer.Answers, name string) (answer.File, bool, bool) {
	for i, f := range a.Files {
		if f.Name == name {
			return f, i == 0, true
		}
	}
	return answer.File{}, false, false
}

// recordAnswer writes down who got which bytes, before they leave.
func (h *Machine) recordAnswer(r *http.Request, m *site.Machine, f answer.File, main bool, from netip.Addr) error {
	name, attempt, sum := m.Node.Name, m.Attempt.Number, sha256.Sum256(f.Data)
	_, err := h.Ledger.Do(r.Context(), func(s *site.State, now time.Time) ([]site.Body, error) {
		m, ok := s.Machine(name)
		if !ok || m.Attempt.Number != attempt || !m.Running() || m.Attempt.Answers >= install.MaxAnswers {
			return nil, errGone
		}
		bodies := []site.Body{site.AnswerServed{Node: name, Attempt: attempt, File: f.Name, SHA256: hex.EncodeToString(sum[:]), Addr: from}}
		if !main {
			return bodies, nil
		}
		progress, err := h.Pace.Next(m, install.Report{Stage: install.StageAnswer}, now)
		return append(bodies, progress...), err
	})
	return err
}

// belongs reports whether an address is the node's: where its attempt
// began, what the plan reserves for it, what its NICs lease, or, where
// another server gives out addresses, what the link knows its NICs by.
func (h *Machine) belongs(s *site.State, m *site.Machine, from netip.Addr) bool {
	if from == m.Attempt.Addr {
		return true
	}
	if a, ok := s.Settings.Address(m.Node); ok && a == from {
		return true
	}
	for _, mac := range append([]site.MAC{m.Attempt.MAC}, m.Node.MACs...) {
		if l, ok := s.LeaseOf(mac); ok && l.Addr == from {
			return true
		}
		if h.Neighbour == nil {
			continue
		}
		if n, ok := h.Neighbour(from); ok && n == mac {
			return true
		}
	}
	return false
}
