package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

func itoa(n int) string { return strconv.Itoa(n) }

const scriptType = "text/plain; charset=utf-8"

func (h *Machine) bootstrap(w http.ResponseWriter, r *http.Request) {
	serveText(w, r, scriptType, []byte(ipxe.Bootstrap(serverOf(r))))
}

func (h *Machine) loader(w http.ResponseWriter, r *http.Request) {
	name := chi.URLParam(r, "loader")
	data, ok := h.Loaders(name)
	if !ok {
		http.Error(w, "no such loader", http.StatusNotFound)
		return
	}
	h.observe(Served{What: "loader", Name: name, Addr: clientOf(r)})
	w.Header().Set("Content-Type", "application/efi")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// node answers the one question of this product for a machine that runs
// iPXE, and begins the attempt when the answer is to install.
func (h *Machine) node(w http.ResponseWriter, r *http.Request) {
	id, ok := identityOf(r)
	if !ok {
		http.Error(w, "the query needs mac=aa:bb:cc:dd:ee:ff", http.StatusBadRequest)
		return
	}
	script, served, err := h.decide(r.Context(), r.Method, id, clientOf(r), serverOf(r))
	if err != nil {
		h.Log.Error("a boot script could not be served", "mac", id.MAC, "error", err)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the daemon cannot record this boot at the moment", http.StatusServiceUnavailable)
		return
	}
	h.observe(served)
	if script == "" {
		http.Error(w, "the plan does not name this machine", http.StatusNotFound)
		return
	}
	serveText(w, r, scriptType, []byte(script))
}

func identityOf(r *http.Request) (boot.Identity, bool) {
	q := r.URL.Query()
	mac, err := site.ParseMAC(q.Get("mac"))
	if err != nil {
		return boot.Identity{}, false
	}
	id := boot.Identity{MAC: mac}
	if u, err := site.ParseUUID(q.Get("uuid")); err == nil && !u.Junk() {
		id.UUID = u
	}
	if serial := site.Printable(q.Get("serial"), 64); !site.JunkSerial(serial) {
		id.Serial = serial
	}
	return id, true
}

// decide gives the script of one machine. An empty script means that the
// machine is none of ours.
func (h *Machine) decide(ctx context.Context, method string, id boot.Identity, from netip.Addr, server ipxe.Server) (string, Served, error) {
	s, now := h.Ledger.State(), h.Ledger.Now()
	served := Served{What: "script", Addr: from}
	m, err := boot.Identify(s, id)
	conflict := (*boot.ConflictError)(nil)
	if errors.As(err, &conflict) {
		return h.hold(ctx, conflict, id, server)
	}
	d := boot.For(s, m, now)
	served.Why = d.Why
	switch d.Action {
	case boot.Ignore:
		return "", served, nil
	case boot.Discover:
		return h.discover(s, m, d, id.MAC, server, served)
	}
	served.Node, served.Name = m.Node.Name, string(d.Action)
	// Whether the answer file renders is found out before the arming is used
	// up: an installer that gets 404 for its answer file waits for ever.
	script, err := h.Compose.Script(s, m, d, id.MAC, server, "")
	if err != nil {
		h.Log.Error("nothing is installed: the answer file does not render", "node", m.Node.Name, "error", err)
		d = boot.Decision{Action: boot.Hold, Node: m.Node, Why: err.Error()}
		served.Name, served.Why = string(d.Action), d.Why
		return ipxe.Script(ipxe.Boot{Decision: d}, server), served, nil
	}
	gaveUp := d.Action == boot.Hold && m.Running() && !install.MayResume(m)
	if d.Action != boot.Install && !gaveUp || method == http.MethodHead {
		return script, served, nil
	}
	script, err = h.begin(ctx, m.Node.Name, id, from, server)
	if errors.As(err, &conflict) {
		return h.hold(ctx, conflict, id, server)
	}
	return script, served, err
}

// hold stops a node whose identity is in doubt, or refuses whoever claims it
// beside the right machine; once and loudly.
func (h *Machine) hold(ctx context.Context, c *boot.ConflictError, id boot.Identity, server ipxe.Server) (string, Served, error) {
	h.Log.Warn("a machine's identity is in doubt", "node", c.Node, "reason", c.Reason)
	s, err := h.Ledger.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) {
		m, ok := s.Machine(c.Node)
		switch {
		case !ok:
			return nil, nil
		case c.Rival == (site.MAC{}):
			if m.Phase != site.PhaseArmed && !m.Running() {
				return nil, nil
			}
			return []site.Body{site.NodeHeld{Node: c.Node, Reason: c.Reason}}, nil
		case m.Claimed(id.MAC, m.Attempt.Number):
			return nil, nil
		}
		return []site.Body{site.ClaimRefused{Node: c.Node, Attempt: m.Attempt.Number, MAC: id.MAC, Rival: c.Rival, Reason: c.Reason}}, nil
	})
	if err != nil {
		return "", Served{}, err
	}
	d := boot.Decision{Action: boot.Hold, Why: c.Reason}
	if m, ok := s.Machine(c.Node); ok {
		d.Node = m.Node
	}
	return ipxe.Script(ipxe.Boot{Decision: d}, server), Served{What: "script", Name: string(d.Action), Node: c.Node, Why: c.Reason}, nil
}

// begin records that the installer is handed out, then gives the script for
// what was decided. The decision is made again inside the writer: two NICs of
// one machine may ask at the same moment, or two machines that claim to be
// one.
func (h *Machine) begin(ctx context.Context, name string, id boot.Identity, from netip.Addr, server ipxe.Server) (string, error) {
	nonce := h.Nonce()
	var d boot.Decision
	s, err := h.Ledger.Do(ctx, func(s *site.State, now time.Time) ([]site.Body, error) {
		m, ok := s.Machine(name)
		if !ok {
			return nil, nil
		}
		if _, err := boot.Identify(s, id); err != nil {
			return nil, err
		}
		d = boot.For(s, m, now)
		switch {
		case m.Running():
			return h.Pace.Again(m, now), nil
		case d.Action != boot.Install:
			return nil, nil
		}
		token := h.Seal.Token(name, d.Attempt, nonce)
		return []site.Body{h.Pace.Start(m, d.Image.Digest, nonce, seal.HashToken(token), id.MAC, from, now)}, nil
	})
	if err != nil {
		return "", err
	}
	m, ok := s.Machine(name)
	if !ok {
		return "", nil
	}
	token := h.Seal.Token(name, m.Attempt.Number, m.Attempt.Nonce)
	return h.Compose.Script(s, m, d, id.MAC, server, token)
}
