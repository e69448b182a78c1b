package job

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// locked is a BMC with a password and a machine behind it.
type locked struct {
	bmc.Driver
	password  site.Secret
	mustDo    bool // wants its password changed first
	inventory bmc.Inventory
	hang      bool // takes the next password and does not answer
	wrong     int
}

func (l *locked) dial(_ context.Context, t bmc.Target) (bmc.Driver, error) {
	switch {
	case t.Password != l.password:
		l.wrong++
		return nil, bmc.ErrLogin
	case l.mustDo && !t.PasswordOnly:
		return nil, fmt.Errorf("%w: %w", bmc.ErrChangeFirst, bmc.ErrLogin)
	}
	return l, nil
}

func (l *locked) Known() bmc.Known            { return bmc.Known{Protocol: bmc.Redfish} }
func (l *locked) Close(context.Context) error { return nil }
func (l *locked) Inventory(context.Context) (bmc.Inventory, error) {
	return l.inventory, nil
}

func (l *locked) SetPassword(ctx context.Context, _ string, p site.Secret) error {
	l.password, l.mustDo = p, false
	if l.hang {
		l.hang = false
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// accessWorld is a log with one node, n, and the one BMC that it has.
func accessWorld(t *testing.T, l *locked) (w *world, start func() (r *Runner, stop func())) {
	w = &world{t: t, state: site.NewState()}
	seal := func(s site.Secret) site.Secret { return site.SealedPrefix + "[" + s + "]" }
	open := func(s site.Secret) (string, error) {
		return strings.Trim(strings.TrimPrefix(s.Reveal(), site.SealedPrefix), "[]"), nil
	}
	w.apply(site.NodePlanned{Node: site.Node{Name: "n", Serial: "SN-1", BMC: site.BMC{Address: "x", Username: "admin", Password: site.SecretRef{Sealed: seal("factory")}}}})
	return w, func() (*Runner, func()) {
		r := New(Config{
			State: w.now, Do: w.do, Now: time.Now, Log: slog.New(slog.DiscardHandler), Owner: true, Seal: seal, Open: open,
			NewID: func() string { w.ids++; return fmt.Sprint("j", w.ids) }, Dial: l.dial,
			Target: func(s *site.State, m *site.Machine) (bmc.Target, error) {
				b := s.BMCOf(m)
				password, err := open(b.Password.Sealed)
				return bmc.Target{Name: m.Node.Name, Address: b.Address, Username: b.Username, Password: site.Secret(password)}, err
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		return r, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
}

func finish(t *testing.T, r *Runner, req view.JobRequest) view.JobResult {
	t.Helper()
	started, err := r.Start(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	var job view.Job
	if err := r.Follow(t.Context(), started.ID, func(c view.JobChange) error {
		if c.Job != nil {
			job = *c.Job
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return job.Results[0]
}

// TestInventoryTeaches: what an authenticated BMC says of its machine boots
// that machine, unless it contradicts the plan.
func TestInventoryTeaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mac := site.MAC{0x52, 0x54, 0, 1, 2, 3}
		l := &locked{password: "factory", inventory: bmc.Inventory{Serial: "sn-1", Model: "R760", NICs: []bmc.NIC{{Name: "1", MAC: mac.String()}, {MAC: "nonsense"}}}}
		w, start := accessWorld(t, l)
		r, stop := start()
		defer stop()
		look := view.JobRequest{Verb: "inventory", Selector: "n"}
		if res := finish(t, r, look); !res.OK {
			t.Fatalf("%+v", res)
		}
		if m, ok := w.now().MachineByMAC(mac); !ok || m.Node.Name != "n" {
			t.Error("its port does not boot it")
		}
		before := w.now().Seq
		if res := finish(t, r, look); !res.OK || w.now().Seq != before {
			t.Errorf("the same again wrote %d events: %+v", w.now().Seq-before, res)
		}
		l.inventory.Serial, l.inventory.Model = "SN-2", "another"
		res := finish(t, r, look)
		m, _ := w.now().Machine("n")
		if kept, _ := m.InventoryFrom(site.FromBMC); res.OK || w.now().Seq != before || kept.Model != "R760" ||
			!strings.Contains(res.Message, "its serial is SN-2, and the plan says SN-1 for n") || !strings.Contains(res.Fix, "swapped") {
			t.Errorf("a contradiction gave %+v, and %+v is kept", res, kept)
		}
		w.apply(site.NodePlanned{Node: site.Node{Name: "n", Serial: "SN-2", BMC: site.BMC{Address: "x", Password: m.Node.BMC.Password}}})
		before = w.now().Seq
		if res := finish(t, r, look); !res.OK || !strings.Contains(res.Message, "nobody logged in") || w.now().Seq > before+1 {
			t.Errorf("without a login: %+v, %d events", res, w.now().Seq-before)
		}
	})
}

// TestPasswordJob: a BMC that wants a new password gets one of its own, which
// is used from then on, and whose plain text is nowhere.
func TestPasswordJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &locked{password: "factory", mustDo: true, inventory: bmc.Inventory{Serial: "SN-1"}}
		w, start := accessWorld(t, l)
		r, stop := start()
		defer stop()
		look := view.JobRequest{Verb: "inventory", Selector: "n"}
		if res := finish(t, r, look); res.OK || !strings.Contains(res.Fix, "rackseed bmc password") {
			t.Errorf("%+v", res)
		}
		res := finish(t, r, view.JobRequest{Verb: Access, Args: []string{"password", "generate"}, Selector: "n"})
		if !res.OK || l.password == "factory" || len(l.password.Reveal()) != 16 {
			t.Fatalf("%+v", res)
		}
		if text := fmt.Sprintf("%+v", res); strings.Contains(text, l.password.Reveal()) {
			t.Errorf("the result tells it: %s", text)
		}
		if res := finish(t, r, look); !res.OK {
			t.Errorf("with the new one: %+v", res)
		}
		given := view.JobRequest{Verb: Access, Args: []string{"password", "given"}, Selector: "n", Password: "G1ven-one"}
		if res := finish(t, r, given); !res.OK || l.password != "G1ven-one" || l.wrong != 0 {
			t.Errorf("%+v, %d wrong logins", res, l.wrong)
		}
		if _, err := json.Marshal(w.now()); err != nil {
			t.Errorf("the state holds a secret that is not sealed: %v", err)
		}
	})
}

// TestKilledWhileAPasswordChanges: the BMC has the new one, and the daemon
// died before it knew.
func TestKilledWhileAPasswordChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &locked{password: "factory", hang: true, inventory: bmc.Inventory{Serial: "SN-1"}}
		w, start := accessWorld(t, l)
		r, stop := start()
		job, err := r.Start(t.Context(), view.JobRequest{Verb: Access, Args: []string{"password", "generate"}, Selector: "n"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if l.hang || l.password == "factory" {
			t.Fatal("it was not sent yet")
		}
		m, _ := w.now().Machine("n")
		if _, pending := w.now().NextBMCPassword(m); pending != site.SealedPrefix+"["+l.password+"]" {
			t.Error("it was sent before it was on record")
		}
		stop()
		lost := l.password
		r, stop = start()
		defer stop()
		synctest.Wait() // until it has taken the job over
		if err := r.Follow(t.Context(), job.ID, func(view.JobChange) error { return nil }); err != nil {
			t.Fatal(err)
		}
		done, _ := r.Job(job.ID)
		if done.OK != 1 || l.wrong != 1 {
			t.Errorf("%+v, %d wrong logins", done, l.wrong)
		}
		if l.password == lost {
			t.Error("the job that goes on did not change it")
		}
		if res := finish(t, r, view.JobRequest{Verb: "inventory", Selector: "n"}); !res.OK || l.wrong != 1 {
			t.Errorf("%+v, %d wrong logins", res, l.wrong)
		}
	})
}
