package api

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

func (h *Operator) status(w http.ResponseWriter, _ *http.Request) {
	h.reply(w, view.StatusOf(h.Ledger.State(), h.Version, h.Serving(), h.Ledger.Now()))
}

func (h *Operator) nodes(w http.ResponseWriter, r *http.Request) {
	s, now := h.Ledger.State(), h.Ledger.Now()
	text := r.URL.Query().Get("selector")
	machines, err := s.Machines(), error(nil)
	if text != "" {
		machines, err = pickMachines(s, text)
	}
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	// Whoever goes on with the events from here on misses none.
	w.Header().Set("Rackseed-Seq", strconv.FormatUint(s.Seq, 10))
	if r.URL.Query().Get("names") == "true" {
		h.reply(w, namesOf(machines))
		return
	}
	h.reply(w, view.Nodes(s, machines, text == "", now))
}

func namesOf(machines []*site.Machine) []string {
	names := make([]string, 0, len(machines))
	for _, m := range machines {
		names = append(names, m.Node.Name)
	}
	return names
}

func pickMachines(s *site.State, text string) ([]*site.Machine, error) {
	sel, err := site.ParseSelector(text)
	if err != nil {
		return nil, err
	}
	machines, err := s.Select(sel)
	if err == nil && len(machines) == 0 {
		err = fmt.Errorf("%q selects no node: `rackseed node list` shows what there is", text)
	}
	return machines, err
}

func (h *Operator) node(w http.ResponseWriter, r *http.Request) {
	s, name := h.Ledger.State(), param(r, "name")
	m, ok := s.Machine(name)
	if mac, err := site.ParseMAC(name); !ok && err == nil {
		m, ok = s.MachineByMAC(mac)
	}
	if st, seen := s.Stranger(name); !ok && seen {
		n := view.StrangerOf(s, st, h.Ledger.Now())
		n.Inventory = st.Inventory
		h.reply(w, n)
		return
	}
	if !ok {
		h.fail(w, codeNotFound, h.Ledger.State().NoNode(name))
		return
	}
	h.reply(w, view.Detail(s, m, h.Ledger.Now()))
}

// inventory is what a machine was found to be, beside what the plan says.
func (h *Operator) inventory(w http.ResponseWriter, r *http.Request) {
	s, name := h.Ledger.State(), param(r, "name")
	m, ok := s.Machine(name)
	if !ok {
		h.fail(w, codeNotFound, h.Ledger.State().NoNode(name))
		return
	}
	h.reply(w, view.InventoryOf(s, m))
}
