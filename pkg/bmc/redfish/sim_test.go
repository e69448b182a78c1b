package redfish_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/redfish"
	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
)

// run has a simulated BMC with TLS, and a way to dial it.
func run(t *testing.T, c bmcsim.Config) (*bmcsim.BMC, func(context.Context) (bmc.Driver, error)) {
	t.Helper()
	b := bmcsim.New(c)
	server := httptest.NewTLSServer(b)
	t.Cleanup(func() { b.Close(); server.Close() })
	o := redfish.Options{Timeout: 5 * time.Second, Task: time.Second, Media: time.Second, Poll: 4 * time.Millisecond}
	return b, func(ctx context.Context) (bmc.Driver, error) {
		return redfish.Dial(ctx, bmc.Target{Address: server.URL, Username: b.Username(), Password: b.Password()}, o)
	}
}

var patience = bmc.Patience{Settle: 30 * time.Millisecond, Power: time.Second, Soft: time.Second, Poll: 2 * time.Millisecond}

func TestTheSimulatedBMC(t *testing.T) {
	for name, c := range map[string]bmcsim.Config{
		"plain":            {},
		"with tasks":       {Tasks: true, Task: 10 * time.Millisecond, Transition: 10 * time.Millisecond},
		"boot in settings": {BootInSettings: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			b, dial := run(t, c)
			d, err := dial(ctx)
			if err != nil {
				t.Fatal(err)
			}
			want := bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI}
			got, steps, err := bmc.SetBootVerified(ctx, d, want, patience)
			if err != nil || !want.KeptAs(got) {
				t.Errorf("%s, %v\n%s", got, err, steps)
			}
			for _, a := range []bmc.PowerAction{bmc.ActionOn, bmc.ActionCycle, bmc.ActionSoft} {
				if state, steps, err := bmc.Power(ctx, d, a, patience, nil); err != nil {
					t.Errorf("%s: %s, %v\n%s", a, state, err, steps)
				}
			}
			if booted := b.Booted(); len(booted) == 0 || booted[0].Target != "Pxe" || !booted[0].UEFI {
				t.Errorf("it booted %v", booted)
			}
			inventory, err := d.Inventory(ctx)
			if err != nil || inventory.Serial == "" || len(inventory.NICs) == 0 || len(inventory.Disks) == 0 || inventory.Memory == 0 || len(inventory.CPUs) == 0 {
				t.Errorf("%+v, %v", inventory, err)
			}
			firmware(ctx, t, d)
			if err := d.SetPassword(ctx, b.Username(), "N3w&pass/word"); err != nil {
				t.Error(err)
			}
			if err := d.Close(ctx); err != nil || b.OpenSessions() != 0 {
				t.Errorf("%v, %d sessions are left open", err, b.OpenSessions())
			}
		})
	}
}

// firmware changes one attribute, and sees it pending.
func firmware(ctx context.Context, t *testing.T, d bmc.Driver) {
	t.Helper()
	var name, to string
	for _, a := range bmcsim.DefaultAttributes() {
		if !a.ReadOnly && len(a.Values) > 1 {
			name, to = a.Name, a.Values[0]
			if a.Default == to {
				to = a.Values[1]
			}
		}
	}
	if err := d.SetFirmware(ctx, map[string]any{name: to}); err != nil {
		t.Fatal(err)
	}
	if f, err := d.Firmware(ctx); err != nil || f.Pending[name] != to || f.Current[name] == to {
		t.Errorf("%s: pending %v, currently %v, %v", name, f.Pending, f.Current[name], err)
	}
}

func TestTheSimulatedBMCGoesWrong(t *testing.T) {
	pxe := bmc.Boot{Device: bmc.DevicePXE}
	for _, tt := range []struct {
		fault sim.Fault
		want  error // of reading the power and setting the boot device; nil is that it works all the same
	}{
		{bmcsim.Fault401, bmc.ErrLogin},
		{bmcsim.FaultSlow, nil},
		{bmcsim.FaultHang, bmc.ErrUnreachable},
		{bmcsim.FaultLies, bmc.ErrNotStored},
		{bmcsim.FaultDropsSession, nil},
		{bmcsim.FaultETagRequired, nil},
		{bmcsim.FaultNoOnce, nil},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			if tt.fault == bmcsim.FaultHang {
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			b, dial := run(t, bmcsim.Config{Faults: []sim.Fault{tt.fault}, Slow: 5 * time.Millisecond, On: true})
			d, err := dial(ctx)
			if err == nil {
				defer func() {
					if d.Close(ctx); tt.fault != bmcsim.FaultDropsSession && b.OpenSessions() != 0 {
						t.Errorf("%d sessions are left open", b.OpenSessions())
					}
				}()
				_, _, err = bmc.SetBootVerified(ctx, d, pxe, patience)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), b.Password().Reveal()) {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

// BenchmarkPowerStatus is a whole conversation: TLS, login, look, log out.
func BenchmarkPowerStatus(b *testing.B) {
	sim := bmcsim.New(bmcsim.Config{})
	defer sim.Close()
	server := httptest.NewTLSServer(sim)
	defer server.Close()
	ctx := context.Background()
	var known bmc.Known
	for b.Loop() {
		d, err := redfish.Dial(ctx, bmc.Target{Address: server.URL, Username: sim.Username(), Password: sim.Password(), Known: known}, redfish.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Power(ctx); err != nil {
			b.Fatal(err)
		}
		known = d.Known()
		if err := d.Close(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(sim.Requests())/float64(b.N), "requests/op")
}

func TestAPasswordThatMustBeChanged(t *testing.T) {
	ctx := context.Background()
	sim := bmcsim.New(bmcsim.Config{MustChangePassword: true})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	target := bmc.Target{Address: server.URL, Username: sim.Username(), Password: sim.Password()}
	o := redfish.Options{Poll: time.Millisecond}

	_, err := redfish.Dial(ctx, target, o)
	if !errors.Is(err, bmc.ErrChangeFirst) {
		t.Fatalf("got %v", err)
	}
	const next = "A-b3tter-one"
	change := func(next site.Secret) error {
		t.Helper()
		only := target
		only.PasswordOnly = true
		d, err := redfish.Dial(ctx, only, o)
		if err != nil {
			return err
		}
		return errors.Join(d.SetPassword(ctx, target.Username, next), d.Close(ctx))
	}
	if err := change(next); err != nil {
		t.Fatal(err)
	}
	target.Password = next
	d, err := redfish.Dial(ctx, target, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(ctx); err != nil || sim.OpenSessions() != 0 {
		t.Errorf("%v, %d sessions are left open", err, sim.OpenSessions())
	}
	// It also changes one that need not be changed.
	if err := change("an0ther-One"); err != nil || sim.OpenSessions() != 0 {
		t.Errorf("%v, %d sessions are left open", err, sim.OpenSessions())
	}
}
