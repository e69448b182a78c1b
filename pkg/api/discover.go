package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/discovery"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

const (
	maxInventory = 256 << 10 // bytes
	maxStrangers = 4096      // whose inventories are kept
	// boundBoot is how long one boot of the discovery may report.
	boundBoot = 24 * time.Hour
	// pause is the least time between two reports of one machine.
	pause = 5 * time.Second
)

// discover gives the script that starts the discovery. What it hands out is
// bound to this MAC, this node and this moment, and opens nothing but the
// report of what was found.
func (h *Machine) discover(s *site.State, m *site.Machine, d boot.Decision, mac site.MAC, server ipxe.Server, served Served) (string, Served, error) {
	node := ""
	if m != nil {
		node = m.Node.Name
	}
	served.Node, served.Name = node, string(d.Action)
	if h.Agent == nil {
		return h.agentless(m, server, served, "this build of rackseed has no discovery agent: build it with `make`")
	}
	if _, ok := h.Agent(d.Image.Arch, true); !ok {
		return h.agentless(m, server, served, "this build of rackseed has no discovery agent for "+d.Image.Arch)
	}
	token := h.discoveryToken(mac, node, h.Ledger.Now())
	script, err := h.Compose.Script(s, m, d, mac, server, token)
	return script, served, err
}

// agentless is silent towards strangers, and tells a node why it waits.
func (h *Machine) agentless(m *site.Machine, server ipxe.Server, served Served, why string) (string, Served, error) {
	h.Log.Error("a machine cannot be discovered", "node", served.Node, "error", why)
	served.Why = why
	if m == nil {
		return "", served, nil
	}
	return ipxe.Script(ipxe.Boot{Decision: boot.Decision{Action: boot.Hold, Node: m.Node, Why: why}}, server), served, nil
}

// discoveryToken begins with the moment, so that nothing need be kept to tell
// an old one.
func (h *Machine) discoveryToken(mac site.MAC, node string, now time.Time) string {
	nonce := strconv.FormatInt(now.UnixMilli(), 36) + "-" + strings.ToLower(h.Nonce())
	return nonce + "-" + h.signature(mac, node, nonce)
}

// signature cannot be that of an install: no node has a blank in its name.
func (h *Machine) signature(mac site.MAC, node, nonce string) string {
	return h.Seal.Token("discovery "+mac.String()+" "+node, 0, nonce)
}

// session is one boot of the discovery.
type session struct {
	mac   site.MAC
	node  string // empty for a stranger
	begun time.Time
}

func (h *Machine) session(r *http.Request) (session, bool) {
	mac, err := site.ParseMAC(chi.URLParam(r, "mac"))
	token := chi.URLParam(r, "token")
	end := strings.LastIndexByte(token, '-')
	if err != nil || end < 0 {
		return session{}, false
	}
	at, _, _ := strings.Cut(token, "-")
	ms, err := strconv.ParseInt(at, 36, 64)
	b := session{mac: mac, node: strings.TrimPrefix(chi.URLParam(r, "node"), "-"), begun: time.UnixMilli(ms)}
	genuine := seal.HashToken(token[end+1:]) == seal.HashToken(h.signature(mac, b.node, token[:end]))
	return b, err == nil && genuine && h.Ledger.Now().Sub(b.begun) < boundBoot
}

// agent serves the program that looks at machines.
func (h *Machine) agent(w http.ResponseWriter, r *http.Request) {
	arch, ramdisk := strings.CutSuffix(chi.URLParam(r, "agent"), ".cpio")
	if h.Agent == nil {
		http.Error(w, "this build of rackseed has no discovery agent", http.StatusNotFound)
		return
	}
	data, ok := h.Agent(arch, ramdisk)
	if !ok {
		http.Error(w, "no discovery agent for this architecture", http.StatusNotFound)
		return
	}
	h.observe(Served{What: "agent", Name: arch, Addr: clientOf(r)})
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// askDiscovery tells an agent what to look at, or what to do next.
func (h *Machine) askDiscovery(w http.ResponseWriter, r *http.Request) {
	b, ok := h.session(r)
	if !ok {
		http.Error(w, "no boot has this token", http.StatusNotFound)
		return
	}
	s := h.Ledger.State()
	switch chi.URLParam(r, "what") {
	case "tasks":
		var n *site.Node
		if m, ok := s.Machine(b.node); ok {
			n = m.Node
		}
		serveJSON(w, r, cabling.TasksFor(&s.Settings, n))
	case "next":
		order, why := discovery.Next(s, b.mac, b.node, b.begun, h.Ledger.Now())
		serveText(w, r, "text/plain; charset=utf-8", []byte(string(order)+"\n"+why+"\n"))
	default:
		http.Error(w, "there are tasks and next", http.StatusNotFound)
	}
}

var (
	errReported = errors.New("this boot has reported already")
	errFull     = errors.New("too many machines that the plan does not name")
)

// inventory takes what the discovery found, once for each boot.
func (h *Machine) inventory(w http.ResponseWriter, r *http.Request) {
	b, ok := h.session(r)
	if !ok {
		http.Error(w, "no boot has this token", http.StatusNotFound)
		return
	}
	found, ok := readInventory(w, r, site.FromDiscovery)
	if !ok {
		return
	}
	var why string
	_, err := h.Ledger.Do(r.Context(), func(s *site.State, now time.Time) ([]site.Body, error) {
		if err := mayReport(s, b, now); err != nil {
			return nil, err
		}
		var bodies []site.Body
		bodies, why = discovery.Found(s, b.mac, b.node, found)
		return bodies, nil
	})
	log := h.Log.With("mac", b.mac, "node", b.node)
	switch {
	case errors.Is(err, errReported), errors.Is(err, errFull), errors.Is(err, errGone):
		log.Warn("an inventory was not taken", "error", err)
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		log.Error("an inventory could not be recorded", "error", err)
		http.Error(w, "the daemon cannot record inventories at the moment", http.StatusServiceUnavailable)
	default:
		log.Info("a machine was discovered", "serial", found.Serial, "model", found.Model, "outcome", why)
		h.observe(Served{What: "inventory", Name: string(found.Source), Node: b.node, Addr: clientOf(r), Why: why})
		serveText(w, r, "text/plain; charset=utf-8", []byte(why+"\n"))
	}
}

// mayReport lets each boot report once, and only who may still be looked at.
func mayReport(s *site.State, b session, now time.Time) error {
	if m, ok := s.Machine(b.node); ok {
		last, _ := m.InventoryFrom(site.FromDiscovery)
		switch {
		case last.At.After(b.begun):
			return errReported
		case m.Running():
			return fmt.Errorf("%w: %s is being installed", errGone, b.node)
		}
		return nil
	}
	if b.node != "" {
		return errGone
	}
	last := time.Time{}
	st, known := s.Strangers.Get(b.mac)
	if st.Inventory != nil {
		last = st.Inventory.At
	}
	if m, ok := s.MachineByMAC(b.mac); ok {
		i, _ := m.InventoryFrom(site.FromDiscovery)
		last, known = i.At, true
	}
	switch {
	case last.After(b.begun) || now.Sub(last) < pause:
		return errReported
	case !s.Settings.Discovery.Strangers:
		return errGone
	case !known && s.Strangers.Len() >= maxStrangers:
		return errFull
	}
	return nil
}

func readInventory(w http.ResponseWriter, r *http.Request, source site.InventorySource) (site.Inventory, bool) {
	within(w, time.Minute)
	var found site.Inventory
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInventory))
	if err == nil {
		err = json.Unmarshal(data, &found)
	}
	if err != nil {
		http.Error(w, "the inventory is none, too long, or was cut off", http.StatusBadRequest)
		return site.Inventory{}, false
	}
	return discovery.Clean(found, source), true
}

// cablingTasks tells an installer's check what to look at.
func (h *Machine) cablingTasks(w http.ResponseWriter, r *http.Request) {
	s := h.Ledger.State()
	m, ok := s.MachineByToken(seal.HashToken(chi.URLParam(r, "token")))
	if !ok || !m.Running() {
		http.Error(w, "no attempt has this token", http.StatusNotFound)
		return
	}
	serveJSON(w, r, cabling.TasksFor(&s.Settings, m.Node))
}

// cabling takes what an installer sees at its cables, and answers with what is
// wrong, in words: ok, warn or stop on the first line.
func (h *Machine) cabling(w http.ResponseWriter, r *http.Request) {
	hash := seal.HashToken(chi.URLParam(r, "token"))
	found, ok := readInventory(w, r, site.FromInstaller)
	if !ok {
		return
	}
	var name string
	s, err := h.Ledger.Do(r.Context(), func(s *site.State, now time.Time) ([]site.Body, error) {
		m, ok := s.MachineByToken(hash)
		if !ok || !m.Running() {
			return nil, errGone
		}
		name = m.Node.Name
		if last, ok := m.InventoryFrom(site.FromInstaller); ok && now.Sub(last.At) < pause {
			return nil, nil
		}
		return []site.Body{site.NodeInventoried{Node: name, Inventory: found}}, nil
	})
	if errors.Is(err, errGone) {
		http.Error(w, "no attempt has this token", http.StatusNotFound)
		return
	}
	if err != nil {
		h.Log.Error("what an installer sees at its cables could not be recorded", "node", name, "error", err)
		http.Error(w, "the daemon cannot record it at the moment", http.StatusServiceUnavailable)
		return
	}
	verdict := "ok"
	var lines []string
	if m, ok := s.Machine(name); ok {
		for _, f := range cabling.Check(s, m.Node, found) {
			lines = append(lines, f.Text)
		}
	}
	if len(lines) > 0 {
		verdict = "warn"
		if s.Settings.Discovery.Wiring == site.WiringEnforce {
			verdict = "stop"
		}
		h.Log.Warn("a node is not cabled as the plan says", "node", name, "verdict", verdict, "findings", strings.Join(lines, "; "))
	}
	h.observe(Served{What: "cabling", Name: verdict, Node: name, Addr: clientOf(r), Why: strings.Join(lines, "; ")})
	serveText(w, r, "text/plain; charset=utf-8", []byte(strings.Join(append([]string{verdict}, lines...), "\n")+"\n"))
}

func serveJSON(w http.ResponseWriter, r *http.Request, doc any) {
	data, err := json.Marshal(doc)
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	serveText(w, r, "application/json", data)
}
