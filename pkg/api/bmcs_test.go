package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// tapes records consoles in memory.
type tapes struct {
	on   map[string]time.Duration
	said string
}

func (t *tapes) Start(node string, d time.Duration) error {
	if d > time.Hour {
		return errors.New("too long")
	}
	if t.on == nil {
		t.on = map[string]time.Duration{}
	}
	t.on[node] = d
	return nil
}

func (t *tapes) Stop(node string) bool {
	_, ok := t.on[node]
	delete(t.on, node)
	return ok
}

func (t *tapes) Recordings() []view.Recording {
	var list []view.Recording
	for node := range t.on {
		list = append(list, view.Recording{Node: node, State: "recording"})
	}
	return list
}

func (t *tapes) Copy(_ context.Context, node string, in io.Reader) (int, error) {
	text, err := io.ReadAll(in)
	t.said += node + ": " + string(text)
	return strings.Count(string(text), "\n"), err
}

// reveal is the plan's password, whatever the plan says of it.
func (w *world) reveal(ref site.SecretRef) (site.Secret, error) {
	if ref.Sealed != "" {
		text, err := w.box.Open(ref.Sealed)
		return site.Secret(text), err
	}
	return "plans-own", nil
}

// TestAdoptBMCs: planned nodes get the BMCs that are theirs, with the login
// that opened them unless it is the plan's own; nothing is kept in the clear.
func TestAdoptBMCs(t *testing.T) {
	w := planned(t)
	m := w.ledger.State().Machines()[0]
	n := *m.Node
	n.Serial, n.BMC.Username = "SN-7", "admin"
	w.do(site.NodePlanned{Node: n})
	mac := site.MAC{2, 0, 0, 0xcc, 0, 1}
	ask := func(edit func(*view.FoundBMC), dry bool) view.AdoptedBMC {
		t.Helper()
		f := view.FoundBMC{Address: "10.21.0.7", Protocol: "redfish", Username: "admin", Password: w.box.Seal("plans-own"),
			Inventory: site.Inventory{Serial: "sn-7", NICs: []site.InventoryNIC{{MAC: mac}}}}
		edit(&f)
		body, err := json.Marshal(view.AdoptRequest{By: "ops", DryRun: dry, BMCs: []view.FoundBMC{f}})
		if err != nil {
			t.Fatal(err)
		}
		r := w.call("POST", "/api/v1/bmcs", string(body))
		var got view.AdoptResult
		if err := json.Unmarshal(r.Body.Bytes(), &got); err != nil || len(got.BMCs) != 1 {
			t.Fatalf("%d %s", r.Code, r.Body)
		}
		return got.BMCs[0]
	}
	same := func(*view.FoundBMC) {}
	seq := w.ledger.State().Seq
	if got := ask(same, true); !got.OK || !got.New || got.Node != n.Name || got.By != "serial sn-7" || w.ledger.State().Seq != seq {
		t.Errorf("only looked at: %+v", got)
	}
	if got := ask(func(f *view.FoundBMC) { f.Inventory.Serial = "nobody's" }, false); got.OK || got.Node != "" || !strings.Contains(got.Note, "names no machine") {
		t.Errorf("nobody's: %+v", got)
	}
	if got := ask(same, false); !got.OK || !got.New {
		t.Errorf("%+v", got)
	}
	s := w.ledger.State()
	now, _ := s.Machine(n.Name)
	if b := s.BMCOf(now); b.Address != "10.21.0.7" || b.Password.Sealed != "" {
		t.Errorf("the plan's own password is kept twice: %+v", b)
	}
	if owner, ok := s.MachineByMAC(mac); !ok || owner.Node.Name != n.Name {
		t.Error("its port does not boot it")
	}
	if got := ask(same, false); !got.OK || got.New {
		t.Errorf("again: %+v", got)
	}
	if got := ask(func(f *view.FoundBMC) { f.Username, f.Password = "root", w.box.Seal("another") }, false); !got.OK || !got.New {
		t.Errorf("another login: %+v", got)
	}
	s = w.ledger.State()
	if a, _ := s.Access.Get(n.Name); a.Username != "root" || !a.Password.Sealed() {
		t.Errorf("%+v", a)
	}
	if r := w.call("DELETE", "/api/v1/nodes/"+n.Name+"/bmc?by=ops", ""); r.Code != http.StatusNoContent {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if r := w.call("DELETE", "/api/v1/nodes/"+n.Name+"/bmc", ""); r.Code != http.StatusNotFound {
		t.Errorf("forgotten already: %d %s", r.Code, r.Body)
	}
}

func TestRecordings(t *testing.T) {
	w := planned(t)
	node := w.ledger.State().Machines()[0].Node.Name
	at := "/api/v1/nodes/" + node
	for _, step := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"GET", "/api/v1/recordings", "", 200, "[]"},
		{"PUT", at + "/recording", `{"for": 60000000000}`, 204, ""},
		{"PUT", "/api/v1/nodes/nobody/recording", `{}`, 404, "has no node nobody"},
		{"PUT", at + "/recording", fmt.Sprintf(`{"for": %d}`, 2*time.Hour), 400, "too long"},
		{"GET", "/api/v1/recordings", "", 200, `"node":"` + node + `"`},
		{"POST", at + "/console", "a\nb\n", 200, `"lines":2`},
		{"DELETE", at + "/recording", "", 204, ""},
		{"DELETE", at + "/recording", "", 404, "not being recorded"},
	} {
		r := w.call(step.method, step.path, step.body)
		if r.Code != step.code || !strings.Contains(r.Body.String(), step.says) {
			t.Errorf("%s %s: %d %s", step.method, step.path, r.Code, r.Body)
		}
	}
	if w.tapes.said != node+": a\nb\n" {
		t.Errorf("%q", w.tapes.said)
	}
}
