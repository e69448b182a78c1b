package batch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// rack is the BMCs of a test, by address.
type rack struct {
	mu      sync.Mutex
	bmcs    map[string]*fake
	open    int
	most    int
	dialled []string
	log     []string // what was ordered, with the second in which it was
	start   time.Time
}

// fake is a BMC of which a test says how it behaves.
type fake struct {
	bmc.Driver
	rack    *rack
	name    string
	power   bmc.PowerState
	down    time.Time     // when it loses its power by itself; zero means never
	slow    time.Duration // of every conversation
	away    int           // so many dials fail
	refuses error
	open    int
	boot    bmc.Boot
	bios    bmc.FirmwareSettings
	lies    bool
}

func newRack(names ...string) *rack {
	r := &rack{bmcs: map[string]*fake{}, start: time.Now()}
	for _, n := range names {
		r.bmcs[n] = &fake{rack: r, name: n, power: bmc.PowerOff}
	}
	return r
}

func (r *rack) dial(ctx context.Context, t bmc.Target) (bmc.Driver, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.bmcs[t.Address]
	r.dialled = append(r.dialled, t.Address)
	if f == nil {
		return nil, fmt.Errorf("%s: %w", t.Address, bmc.ErrUnreachable)
	}
	if f.away > 0 {
		f.away--
		return nil, fmt.Errorf("%s: %w", t.Address, bmc.ErrUnreachable)
	}
	if f.open > 0 {
		return nil, fmt.Errorf("%s has a session already", t.Address)
	}
	f.open++
	r.open++
	r.most = max(r.most, r.open)
	return f, nil
}

func (f *fake) say(what string) {
	f.rack.mu.Lock()
	defer f.rack.mu.Unlock()
	f.rack.log = append(f.rack.log, fmt.Sprintf("%s %s %d", f.name, what, int(time.Since(f.rack.start).Seconds())))
}

func (f *fake) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(f.slow):
		return f.refuses
	}
}

func (f *fake) Known() bmc.Known { return bmc.Known{Protocol: bmc.IPMI, CipherSuite: 17} }

func (f *fake) Power(ctx context.Context) (bmc.PowerState, error) {
	if err := f.wait(ctx); err != nil {
		return bmc.PowerUnknown, err
	}
	if !f.down.IsZero() && !time.Now().Before(f.down) {
		f.power, f.down = bmc.PowerOff, time.Time{}
	}
	return f.power, nil
}

func (f *fake) SetPower(_ context.Context, a bmc.PowerAction) error {
	f.say(string(a))
	f.power = bmc.PowerOn
	if a == bmc.ActionOff || a == bmc.ActionSoft {
		f.power = bmc.PowerOff
	}
	return nil
}

func (f *fake) Ways() []bmc.Way { return []bmc.Way{{Name: "standard"}} }

func (f *fake) Boot(context.Context) (bmc.Boot, error) { return f.boot, nil }

func (f *fake) SetBoot(_ context.Context, want bmc.Boot, _ bmc.Way) error {
	f.boot = want
	return nil
}

func (f *fake) Firmware(context.Context) (bmc.FirmwareSettings, error) { return f.bios, nil }

func (f *fake) SetFirmware(_ context.Context, want map[string]any) error {
	if !f.lies {
		f.bios.Pending = want
	}
	return nil
}

func (f *fake) Close(context.Context) error {
	f.rack.mu.Lock()
	defer f.rack.mu.Unlock()
	f.open--
	f.rack.open--
	return nil
}

func targets(names ...string) []bmc.Target {
	var all []bmc.Target
	for _, n := range names {
		all = append(all, bmc.Target{Name: n, Address: n})
	}
	return all
}
