package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

// What a machine may send: enough for every sysctl of a host, and for the
// logs of an installer with a core of its own.
const (
	maxReport     = 64 << 10 // bytes
	maxEvidence   = 64 << 20 // bytes
	maxDeviations = 200
	maxDetail     = 400 // bytes
	maxUploads    = 5   // evidence files of one attempt
)

// EvidenceStore keeps the files of failed installs.
type EvidenceStore interface {
	// Save keeps at most limit bytes of r durably and says where.
	Save(ctx context.Context, node string, attempt int, r io.Reader, limit int64) (site.Evidence, error)
}

// report takes the word of an installer or of a first boot. The token is the
// proof: it may come from an address that only the installed system has.
func (h *Machine) report(w http.ResponseWriter, r *http.Request) {
	hash := seal.HashToken(chi.URLParam(r, "token"))
	within(w, time.Minute)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil {
		http.Error(w, "the report is too long or was cut off", http.StatusBadRequest)
		return
	}
	rep := reportOf(install.Stage(chi.URLParam(r, "stage")), string(body))
	var node string
	var senseless error
	_, err = h.Ledger.Do(r.Context(), func(s *site.State, now time.Time) ([]site.Body, error) {
		m, ok := s.MachineByToken(hash)
		if !ok {
			return nil, errGone
		}
		node = m.Node.Name
		var bodies []site.Body
		bodies, senseless = h.Pace.Next(m, rep, now)
		return bodies, senseless
	})
	switch {
	case errors.Is(err, errGone):
		http.Error(w, "no attempt has this token", http.StatusNotFound)
	case senseless != nil:
		h.Log.Warn("a report was not taken", "node", node, "stage", rep.Stage, "error", senseless)
		http.Error(w, "the report was not taken", http.StatusConflict)
	case err != nil:
		h.Log.Error("a report could not be recorded", "node", node, "stage", rep.Stage, "error", err)
		http.Error(w, "the daemon cannot record reports at the moment", http.StatusServiceUnavailable)
	default:
		h.observe(Served{What: "report", Name: string(rep.Stage), Node: node, Addr: clientOf(r)})
		w.WriteHeader(http.StatusNoContent)
	}
}

// within bounds how long a machine may take to send its body. The server has
// no bound for all requests, because it would end long downloads.
func within(w http.ResponseWriter, d time.Duration) {
	// A writer that cannot do it belongs to a test or to this process.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
}

// reportOf reads the lines of a report: with StageVerified each is a
// deviation, otherwise the first is the detail.
func reportOf(stage install.Stage, text string) install.Report {
	rep := install.Report{Stage: stage}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(site.Printable(line, maxDetail))
		switch {
		case line == "":
		case stage == install.StageVerified:
			if len(rep.Deviations) < maxDeviations {
				rep.Deviations = append(rep.Deviations, line)
			}
		case rep.Detail == "":
			rep.Detail = line
		}
	}
	return rep
}

func (h *Machine) evidence(w http.ResponseWriter, r *http.Request) {
	hash := seal.HashToken(chi.URLParam(r, "token"))
	m, ok := h.uploading.begin(func() (*site.Machine, bool) { return h.Ledger.State().MachineByToken(hash) })
	if !ok {
		http.Error(w, "no attempt has this token", http.StatusNotFound)
		return
	}
	defer h.uploading.end(m.Node.Name)
	within(w, 10*time.Minute)
	log := h.Log.With("node", m.Node.Name, "attempt", m.Attempt.Number)
	e, err := h.Evidence.Save(r.Context(), m.Node.Name, m.Attempt.Number, r.Body, maxEvidence)
	if err != nil {
		log.Error("evidence was lost", "error", err)
		http.Error(w, "the evidence could not be kept", http.StatusInsufficientStorage)
		return
	}
	_, err = h.Ledger.Do(r.Context(), func(s *site.State, _ time.Time) ([]site.Body, error) {
		now, ok := s.Machine(m.Node.Name)
		if !ok || now.Attempt.Number != m.Attempt.Number {
			return nil, errGone
		}
		return []site.Body{site.EvidenceStored{Node: m.Node.Name, Attempt: e.Attempt, File: e.File, SHA256: e.SHA256, Size: e.Size}}, nil
	})
	if err != nil {
		log.Error("evidence was kept but not recorded", "file", e.File, "error", err)
		http.Error(w, "the evidence could not be recorded", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// arrivals counts the uploads that have not ended yet, by node: those count
// against maxUploads, too, or many at one moment would fill the disk.
type arrivals struct {
	mu  sync.Mutex
	now map[string]int
}

// begin looks at the machine under the lock: what ended before is on record.
func (a *arrivals) begin(look func() (*site.Machine, bool)) (*site.Machine, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := look()
	if !ok || uploads(m)+a.now[m.Node.Name] >= maxUploads {
		return nil, false
	}
	if a.now == nil {
		a.now = map[string]int{}
	}
	a.now[m.Node.Name]++
	return m, true
}

func (a *arrivals) end(node string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now[node]--; a.now[node] == 0 {
		delete(a.now, node)
	}
}

func uploads(m *site.Machine) int {
	n := 0
	for _, e := range m.Evidence {
		if e.Attempt == m.Attempt.Number {
			n++
		}
	}
	return n
}
