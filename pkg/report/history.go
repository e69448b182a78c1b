package report

import (
	"fmt"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// history is what the log tells of the machines of a report.
type history struct {
	images map[string]site.Image // by digest, also those that were removed
	nodes  map[string]*past
}

type past struct {
	armed    site.Armed
	armedAt  site.Event
	attempts []view.ReportAttempt
}

// last is the attempt that an event is about; nil where the log has begun
// later, or the node was planned anew.
func (p *past) last(number int) *view.ReportAttempt {
	if n := len(p.attempts); n > 0 && p.attempts[n-1].Number == number {
		return &p.attempts[n-1]
	}
	return nil
}

func readHistory(src Source) (history, error) {
	h := history{images: map[string]site.Image{}, nodes: map[string]*past{}}
	for _, m := range src.Machines {
		h.nodes[m.Node.Name] = &past{}
	}
	if src.Events == nil {
		return h, nil
	}
	for e, err := range src.Events {
		if err != nil {
			return h, fmt.Errorf("reading the log for the report: %w", err)
		}
		if e.Seq > src.State.Seq {
			break
		}
		if i, ok := e.Body.(site.ImageAdded); ok {
			h.images[i.Image.Digest] = i.Image
		}
		if p, ok := h.nodes[e.Body.Subject()]; ok {
			p.event(e)
		}
	}
	return h, nil
}

func (p *past) event(e site.Event) {
	switch b := e.Body.(type) {
	case site.NodeUnplanned:
		*p = past{} // another machine may have the name now
	case site.Armed:
		p.armed, p.armedAt = b, e
	case site.InstallStarted:
		p.attempts = append(p.attempts, view.ReportAttempt{
			Number: b.Attempt, ArmedBy: p.armed.By, ArmedAt: p.armedAt.At, Why: p.armed.Reason, Started: e.At, Result: "running", Image: b.Image,
		})
	case site.AnswerServed:
		if a := p.last(b.Attempt); a != nil {
			a.Answers = append(a.Answers, view.ReportAnswer{File: b.File, SHA256: b.SHA256, At: e.At, Addr: b.Addr})
		}
	case site.EvidenceStored:
		if a := p.last(b.Attempt); a != nil {
			a.Kept = append(a.Kept, site.Evidence{Attempt: b.Attempt, File: b.File, SHA256: b.SHA256, Size: b.Size})
		}
	default:
		p.ending(e)
	}
}

func (p *past) ending(e site.Event) {
	end := func(number int, result, stage, reason string) {
		if a := p.last(number); a != nil {
			a.Result, a.Ended, a.Stage, a.Reason = result, e.At, stage, reason
		}
	}
	switch b := e.Body.(type) {
	case site.InstallDone:
		end(b.Attempt, "installed", "", "")
	case site.NodeVerified:
		if len(b.Deviations) == 0 {
			end(b.Attempt, "ready", "", "")
		} else {
			end(b.Attempt, "installed", "", fmt.Sprintf("%d deviations", len(b.Deviations)))
		}
	case site.InstallFailed:
		end(b.Attempt, "failed", b.Stage, b.Reason)
	case site.Disarmed, site.NodeHeld:
		if n := len(p.attempts); n > 0 && p.attempts[n-1].Result == "running" {
			end(p.attempts[n-1].Number, "given up", "", "")
		}
	}
}

func (h history) attempts(m *site.Machine, phases func(string, int) []view.ReportPhase) []view.ReportAttempt {
	all := h.nodes[m.Node.Name].attempts
	if phases != nil {
		for i := range all {
			all[i].Phases = phases(m.Node.Name, all[i].Number)
		}
	}
	return all
}
