package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/report"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// handover gives the hand-over report.
func (h *Operator) handover(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	format, lang := q.Get("format"), report.Lang(q.Get("lang"))
	if lang == "" {
		lang = report.English
	}
	if !slices.Contains(report.Langs(), lang) {
		h.fail(w, codeUsage, fmt.Errorf("lang=%s: there are en and zh", lang))
		return
	}
	s := h.Ledger.State()
	src := report.Source{State: s, Machines: s.Machines(), Selector: q.Get("selector"), Version: h.Version, Now: h.Ledger.Now(), Events: h.wholeLog(r.Context()), Phases: h.phasesOf(s)}
	if src.Selector != "" {
		var err error
		if src.Machines, err = pickMachines(s, src.Selector); err != nil {
			h.fail(w, codeUsage, err)
			return
		}
	}
	write, kind, ending := json.Marshal, "application/json", ""
	switch format {
	case "", "json":
	case "html":
		write = func(doc any) ([]byte, error) { return report.HTML(doc.(view.Report), lang) }
		kind, ending = "text/html; charset=utf-8", "html"
	case "xlsx":
		write = func(doc any) ([]byte, error) { return report.XLSX(doc.(view.Report), lang) }
		kind, ending = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"
	default:
		h.fail(w, codeUsage, fmt.Errorf("format=%s: there are html, xlsx and json", format))
		return
	}
	doc, err := report.Make(src)
	var data []byte
	if err == nil {
		data, err = write(doc)
	}
	if err != nil {
		h.fail(w, codeFailed, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	if ending != "" {
		// What machines say of themselves stands in it: it gets no script, and
		// none of the rights of the page.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
		w.Header().Set("Content-Disposition", `inline; filename="rackseed-report.`+ending+`"`)
	}
	_, _ = w.Write(data) // the client went away; nothing follows from it
}

// wholeLog reads the log page by page.
func (h *Operator) wholeLog(ctx context.Context) iter.Seq2[site.Event, error] {
	return func(yield func(site.Event, error) bool) {
		for since := uint64(0); ; {
			events, err := h.Follower.Events(ctx, since, maxPage)
			if err != nil {
				yield(site.Event{}, err)
				return
			}
			if len(events) == 0 {
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
				since = e.Seq
			}
		}
	}
}

// phasesOf accounts for the time of attempts as the flight recorder saw it.
func (h *Operator) phasesOf(s *site.State) func(string, int) []view.ReportPhase {
	if h.Flight == nil {
		return nil
	}
	now := h.Ledger.Now()
	return func(node string, attempt int) []view.ReportPhase {
		m, ok := s.Machine(node)
		if !ok {
			return nil
		}
		var all []view.ReportPhase
		for _, p := range flight.RunOf(node, h.entriesOf(m), attempt, now).Phases {
			all = append(all, view.ReportPhase{Name: p.Name, Seconds: p.End.Sub(p.Begin).Seconds(), Note: p.Note})
		}
		return all
	}
}
