package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/discovery"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// discoveryWindow is how long the wish to look at a node waits for its boot.
const discoveryWindow = 4 * time.Hour

// adoptNode makes a machine that was seen a node of the plan. It arms nothing.
func (h *Operator) adoptNode(w http.ResponseWriter, r *http.Request) {
	var req view.NodeRequest
	if !h.decode(w, r, &req) {
		return
	}
	if req.Who == "" || req.Name == "" || req.Role == "" {
		h.fail(w, codeUsage, errors.New("adopting takes who (a MAC or a serial number), name and role"))
		return
	}
	wish := discovery.Wish{Name: req.Name, Role: req.Role, Rack: req.Rack, U: req.U, BMC: req.BMC, Image: req.Image, Addresses: req.Addresses, By: by(r, req.By)}
	h.decideOn(w, r, req.Name, func(s *site.State, _ time.Time) ([]site.Body, error) {
		st, ok := s.Stranger(req.Who)
		if !ok {
			return nil, h.notSeen(s, req.Who)
		}
		return discovery.Adopt(s, st, wish)
	})
}

// notSeen says why nobody goes by that.
func (h *Operator) notSeen(s *site.State, who string) error {
	if mac, err := site.ParseMAC(who); err == nil {
		if m, ok := s.MachineByMAC(mac); ok {
			return install.Refusal(fmt.Sprintf("%s is %s already: `rackseed node show %s`", who, m.Node.Name, m.Node.Name))
		}
	} else if m, ok := s.MachineBySerial(who); ok {
		return install.Refusal(fmt.Sprintf("serial number %s is %s already: `rackseed node show %s`", who, m.Node.Name, m.Node.Name))
	}
	return noNode(fmt.Sprintf("nobody has seen %s: `rackseed node list` shows the machines that were, by MAC and, once they were discovered, by serial number", who))
}

// noNode says that there is no such machine.
type noNode string

func (n noNode) Error() string { return string(n) }

// changeNode changes an adopted node; what a plan file says is changed there.
func (h *Operator) changeNode(w http.ResponseWriter, r *http.Request) {
	var req view.NodeChange
	if !h.decode(w, r, &req) {
		return
	}
	name := param(r, "name")
	h.decideOn(w, r, name, func(s *site.State, _ time.Time) ([]site.Body, error) {
		m, err := adopted(s, name, "changed")
		if err != nil {
			return nil, err
		}
		n := changed(*m.Node, req)
		if err := discovery.Fits(s, &n); err != nil {
			return nil, err
		}
		return []site.Body{site.NodePlanned{Node: n, By: m.AdoptedBy}}, nil
	})
}

func changed(n site.Node, req view.NodeChange) site.Node {
	for _, f := range []struct {
		to   *string
		from *string
	}{{&n.Role, req.Role}, {&n.Rack, req.Rack}, {&n.BMC.Address, req.BMC}, {&n.Image, req.Image}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if req.U != nil {
		n.U = *req.U
	}
	if req.AddMAC != (site.MAC{}) && !slices.Contains(n.MACs, req.AddMAC) {
		n.MACs = append(slices.Clone(n.MACs), req.AddMAC)
	}
	return n
}

// adopted finds a node that may be changed or removed here.
func adopted(s *site.State, name, what string) (*site.Machine, error) {
	m, ok := s.Machine(name)
	switch {
	case !ok:
		return nil, noNode(fmt.Sprintf("the plan has no node %s: see `rackseed node list`", name))
	case !m.Node.Adopted:
		return nil, install.Refusal(fmt.Sprintf("%s stands in the plan file and is %s there: edit it, then `rackseed plan apply FILE`", name, what))
	case m.Running():
		return nil, install.Refusal(fmt.Sprintf("%s is being installed: wait for it, or `rackseed disarm %s` first", name, name))
	}
	return m, nil
}

// removeNode takes an adopted node out of the plan, or a stranger off the list.
func (h *Operator) removeNode(w http.ResponseWriter, r *http.Request) {
	name := param(r, "name")
	_, err := h.Ledger.Do(r.Context(), func(s *site.State, _ time.Time) ([]site.Body, error) {
		if st, ok := s.Stranger(name); ok {
			return []site.Body{site.StrangerForgotten{MAC: st.MAC, By: by(r, r.URL.Query().Get("by"))}}, nil
		}
		if _, err := adopted(s, name, "removed"); err != nil {
			return nil, err
		}
		return []site.Body{site.NodeUnplanned{Name: name}}, nil
	})
	if err != nil {
		h.failOn(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// discoverNode wants a node looked at when it next boots from the network.
func (h *Operator) discoverNode(w http.ResponseWriter, r *http.Request) {
	var req view.DiscoverRequest
	if !h.decode(w, r, &req) {
		return
	}
	name, window := param(r, "name"), req.For
	if window <= 0 {
		window = discoveryWindow
	}
	h.decideOn(w, r, name, func(s *site.State, now time.Time) ([]site.Body, error) {
		m, ok := s.Machine(name)
		if !ok {
			return nil, noNode(fmt.Sprintf("the plan has no node %s: a machine that it does not name is discovered by itself, with discovery: {strangers: true}", name))
		}
		if err := discovery.MayLook(s, m); err != nil {
			return nil, err
		}
		return []site.Body{site.DiscoveryAsked{Node: name, By: by(r, req.By), Until: now.Add(window)}}, nil
	})
}

// decideOn commits what decide wants, and replies with how the node stands.
func (h *Operator) decideOn(w http.ResponseWriter, r *http.Request, name string, decide func(*site.State, time.Time) ([]site.Body, error)) {
	s, err := h.Ledger.Do(r.Context(), decide)
	if err != nil {
		h.failOn(w, err)
		return
	}
	m, ok := s.Machine(name)
	if !ok {
		h.fail(w, codeNotFound, fmt.Errorf("the plan has no node %s any more", name))
		return
	}
	h.reply(w, view.Detail(s, m, h.Ledger.Now()))
}

func (h *Operator) failOn(w http.ResponseWriter, err error) {
	refusal, missing := install.Refusal(""), noNode("")
	switch {
	case errors.As(err, &refusal):
		h.fail(w, codeRefused, err)
	case errors.As(err, &missing):
		h.fail(w, codeNotFound, err)
	default:
		h.fail(w, codeFailed, err)
	}
}

// cablings compares the cables of nodes with the plan.
func (h *Operator) cablings(w http.ResponseWriter, r *http.Request) {
	s := h.Ledger.State()
	machines, text := s.Machines(), r.URL.Query().Get("selector")
	if text != "" {
		var err error
		if machines, err = pickMachines(s, text); err != nil {
			h.fail(w, codeUsage, err)
			return
		}
	}
	list := make([]view.Cabling, 0, len(machines))
	for _, m := range machines {
		list = append(list, view.CablingOf(s, m))
	}
	h.reply(w, list)
}

// adoptedNodes lists what no plan file names, so that one can.
func (h *Operator) adoptedNodes(w http.ResponseWriter, _ *http.Request) {
	out := view.AdoptedNodes{Nodes: []site.Node{}}
	for _, m := range h.Ledger.State().Machines() {
		if m.Node.Adopted {
			out.Nodes = append(out.Nodes, *m.Node)
		}
	}
	h.reply(w, out)
}
