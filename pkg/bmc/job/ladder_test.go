package job

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// stubborn is the one machine of a job, b: its BMC keeps whatever it is told,
// in whichever way, and its firmware heeds what was told in one of them.
type stubborn struct {
	*hall
	ways  []string
	heeds string
	other bmc.Device // what is heard of it where it was told in another way; "" is nothing
	hangs bool       // boots from the network, and nothing comes of it
	deaf  bool       // nothing is heard of it, though its installer comes
	dies  bool       // its BMC, after the first power cycle

	told  []string
	signs []bmc.Sign
}

type stubbornBMC struct {
	*server
	m *stubborn
}

func (b *stubbornBMC) Ways() []bmc.Way {
	var ways []bmc.Way
	for _, w := range b.m.ways {
		ways = append(ways, bmc.Way{Name: w})
	}
	return ways
}

func (b *stubbornBMC) SetBoot(_ context.Context, want bmc.Boot, way bmc.Way) error {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.boot = want
	if want.Device == bmc.DevicePXE {
		b.m.told = append(b.m.told, way.Name)
	}
	return nil
}

func (b *stubbornBMC) SetPower(ctx context.Context, a bmc.PowerAction) error {
	if err := b.fake.SetPower(ctx, a); err != nil || a != bmc.ActionOn {
		return err
	}
	m := b.m
	m.mu.Lock()
	heeds := m.heeds == m.told[len(m.told)-1]
	m.mu.Unlock()
	device := m.other
	if heeds {
		device = bmc.DevicePXE
	}
	if device != "" && !m.deaf {
		m.signs = append(m.signs, bmc.Sign{Device: device, At: time.Now().Add(4 * time.Minute), What: "DHCP of " + string(device)})
	}
	if heeds && !m.hangs {
		m.install(b.name)
	}
	return nil
}

func (m *stubborn) seen(_ string, since time.Time) (bmc.Sign, bool) {
	for _, s := range m.signs {
		if !s.At.Before(since) && !s.At.After(time.Now()) {
			return s, true
		}
	}
	return bmc.Sign{}, false
}

func (m *stubborn) runner() (*Runner, func()) {
	return m.world.runner(func(c *Config) {
		c.Boot = m.seen
		c.Dial = func(_ context.Context, t bmc.Target) (bmc.Driver, error) {
			if m.dies && len(m.sent) > 0 {
				return nil, fmt.Errorf("%s: %w", t.Name, bmc.ErrUnreachable)
			}
			return &stubbornBMC{server: &server{fake: m.bmcs[t.Address], h: m.hall}, m: m}, nil
		}
	})
}

// steps are what is on record of b: what it was told, and what was issued.
func (m *stubborn) steps(t *testing.T) site.JobNode {
	t.Helper()
	n, ok := m.now().JobNodes.Get(site.JobKey{ID: "j1", Node: "b"})
	if !ok {
		t.Fatal("there is no record")
	}
	return n
}

// TestLadder: a machine that does not boot what its BMC keeps is told in the
// next way, three times in all, and never once it has come.
func TestLadder(t *testing.T) {
	const silent = "nothing came from it on the wire within 25m0s"
	for _, tt := range []struct {
		name  string
		m     stubborn
		want  string
		told  string
		sent  string
		after time.Duration // at most
		says  string
	}{
		{
			name: "the first way is heeded", m: stubborn{ways: []string{"a", "vendor"}, heeds: "a"},
			want: "done", told: "a", sent: "off on", after: 30 * time.Minute,
		},
		{
			name: "silence, then the vendor's way", m: stubborn{ways: []string{"a", "vendor"}, heeds: "vendor"},
			want: "done", told: "a vendor", sent: "off on off on", after: 55 * time.Minute,
		},
		{
			name: "its disk is heard, and nobody waits any longer", m: stubborn{ways: []string{"a", "vendor"}, heeds: "vendor", other: bmc.DeviceDisk},
			want: "done", told: "a vendor", sent: "off on off on", after: 32 * time.Minute,
		},
		{
			name: "it heeds none of them, and is not cycled for ever", m: stubborn{ways: []string{"a", "b", "c", "d"}},
			want: "failed", told: "a b c", sent: "off on off on off on", after: 82 * time.Minute,
			says: "nothing of it arrived that may be installed; told by a, then by b, then by c: " + silent,
		},
		{
			name: "no way is left", m: stubborn{ways: []string{"a"}},
			want: "failed", told: "a", sent: "off on", after: 36 * time.Minute,
			says: "nothing of it arrived that may be installed; told by a: " + silent,
		},
		{
			name: "it booted from the network, and hangs", m: stubborn{ways: []string{"a", "b"}, heeds: "a", hangs: true},
			want: "failed", told: "a", sent: "off on", after: 32 * time.Minute, says: "it did boot from the network",
		},
		{
			name: "its installer came, and nothing else was heard", m: stubborn{ways: []string{"a", "b"}, heeds: "a", deaf: true},
			want: "done", told: "a", sent: "off on", after: 30 * time.Minute,
		},
		{
			name: "its BMC dies meanwhile", m: stubborn{ways: []string{"a", "b"}, dies: true},
			want: "failed", told: "a", sent: "off on", after: 46 * time.Minute, says: "told by a: " + silent,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := tt.m
				m.hall = newHall(t, nil)
				r, stop := m.runner()
				defer stop()
				begin := time.Now()
				if _, err := r.Start(t.Context(), view.JobRequest{Verb: Install, Selector: "b"}); err != nil {
					t.Fatal(err)
				}
				got := finished(t, r, "j1").Results[0]
				var sent []string
				for _, s := range m.sent {
					sent = append(sent, strings.Fields(s)[1])
				}
				if got.Phase != tt.want || !strings.Contains(got.Message, tt.says) {
					t.Errorf("%s: %s, want %s: %s", got.Phase, got.Message, tt.want, tt.says)
				}
				if diff := cmp.Diff([]string{tt.told, tt.sent}, []string{strings.Join(m.told, " "), strings.Join(sent, " ")}); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(begin); took > tt.after {
					t.Errorf("it took %s", took)
				}
				if n := m.steps(t); tt.want == "done" && (strings.Join(n.Told, " ") != tt.told || !slices.Equal(n.Issued, []string{"off", "on"})) {
					t.Errorf("on record is %+v", n)
				}
				if b, _ := m.now().Machine("b"); b.Attempt.Number > 1 {
					t.Errorf("it is at attempt %d", b.Attempt.Number)
				}
			})
		})
	}
}

// TestLadderOutlivesTheDaemon: whenever daemons die, no way is tried twice and
// no power cycle is repeated.
func TestLadderOutlivesTheDaemon(t *testing.T) {
	for _, lives := range [][]time.Duration{
		{2500 * time.Millisecond},
		{10 * time.Minute},
		{15*time.Minute + 500*time.Millisecond},
		{15*time.Minute + 5*time.Second},
		{15*time.Minute + 10*time.Second},
		{17 * time.Minute},
		{16 * time.Minute, 2 * time.Minute, 10 * time.Minute},
	} {
		t.Run(fmt.Sprint(lives), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := stubborn{hall: newHall(t, nil), ways: []string{"a", "b", "c"}, heeds: "b"}
				r, stop := m.runner()
				if _, err := r.Start(t.Context(), view.JobRequest{Verb: Install, Selector: "b"}); err != nil {
					t.Fatal(err)
				}
				for _, life := range lives {
					time.Sleep(life) // of the bubble's clock
					stop()
					time.Sleep(time.Second)
					r, stop = m.runner()
					synctest.Wait()
				}
				defer stop()
				if got := finished(t, r, "j1"); outcome(got) != "ended: b done" {
					t.Errorf("%s: %s", outcome(got), got.Results[0].Message)
				}
				if on := len(slices.DeleteFunc(slices.Clone(m.sent), func(s string) bool { return s != "b on" })); on != 2 {
					t.Errorf("it was switched on %d times: %v", on, m.sent)
				}
				if n := m.steps(t); !slices.Equal(n.Told, []string{"a", "b"}) {
					t.Errorf("on record is %+v", n)
				}
			})
		})
	}
}
