// Package bmc has the BMC commands meet BMCs that go wrong.
package bmc

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/bmc/redfish"
	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	secret    = "hunter2-hunter2"
	newSecret = "correct-horse-battery"
)

// verb is one thing that an operator does.
type verb struct {
	name string
	off  bool // the machine has no power before
	task func(image string) (batch.Task, error)
	// wanted reports whether what the BMC has afterwards is what was asked
	// for; nil is a verb that changes nothing.
	wanted func(k bmcsim.Kept, actions []string) bool
	// unseen is what a BMC does not show: it says on before a reset and after.
	unseen bool
	// safe keeps the passwords that the verb sets; nil is a verb that sets none.
	safe *safe
}

func words(line string) func(string) (batch.Task, error) {
	return func(image string) (batch.Task, error) {
		args := strings.Fields(strings.ReplaceAll(line, "IMAGE", image))
		return batch.Parse(args[0], args[1:])
	}
}

func verbs() []verb {
	power := func(state string, actions ...string) func(bmcsim.Kept, []string) bool {
		return func(k bmcsim.Kept, did []string) bool { return k.Power == state && slices.Equal(did, actions) }
	}
	// What is first in the boot order needs no override to be persistent.
	override := func(enabled, target string) func(bmcsim.Kept, []string) bool {
		return func(k bmcsim.Kept, _ []string) bool {
			return k.Enabled == enabled && k.Target == target || enabled == "Continuous" && k.Enabled == "Disabled" && k.First == target
		}
	}
	list := []verb{
		{name: "power status"},
		{name: "power on", off: true, wanted: power("On", "On")},
		{name: "power off", wanted: power("Off", "ForceOff")},
		{name: "power soft", wanted: power("Off", "GracefulShutdown")},
		{name: "power cycle", wanted: power("On", "ForceOff", "On")},
		{name: "power cycle no-wait", wanted: power("On", "PowerCycle"), unseen: true},
		{name: "power reset", wanted: power("On", "ForceRestart"), unseen: true},
		{name: "bootdev get"},
		{name: "bootdev set pxe once", wanted: override("Once", "Pxe")},
		{name: "bootdev set disk persistent", wanted: override("Continuous", "Hdd")},
		{name: "bootdev set pxe once verify=3s", wanted: func(k bmcsim.Kept, _ []string) bool { return k.Last == "Pxe" }},
		{name: "bootdev set http persistent uefi", wanted: override("Continuous", "UefiHttp")},
		{name: "bios get ProcVirtualization"},
		{name: "bios set ProcVirtualization=Enabled", wanted: func(k bmcsim.Kept, _ []string) bool { return k.Pending["ProcVirtualization"] == "Enabled" }},
		{name: "bios diff virtualization=on boot_mode=uefi"},
		{name: "bios diff"},
		{name: "bios set", wanted: func(k bmcsim.Kept, _ []string) bool { return k.Pending["ProcVirtualization"] == "Enabled" }},
		{name: "bios set reset", wanted: func(k bmcsim.Kept, did []string) bool {
			return k.Attributes["ProcVirtualization"] == "Enabled" && slices.Equal(did, []string{"ForceOff", "On"})
		}},
		{name: "media get"},
		{name: "media insert IMAGE", wanted: func(k bmcsim.Kept, _ []string) bool { return k.Image != "" }},
		{name: "media insert IMAGE boot=3s", wanted: func(k bmcsim.Kept, _ []string) bool { return k.Image == "" && k.Last == "Cd" }},
		{name: "media eject", wanted: func(k bmcsim.Kept, _ []string) bool { return k.Image == "" }},
		{name: "inventory"},
	}
	for i := range list {
		list[i].task = words(list[i].name)
	}
	return append(list, verb{name: "console", task: console}, verb{
		name: "bmc password", safe: &safe{inForce: secret},
		wanted: func(k bmcsim.Kept, _ []string) bool { return k.Password.Reveal() == newSecret },
	})
}

func dialer() bmc.Dialer {
	return redfish.NewDialer(redfish.Options{Poll: 10 * time.Millisecond, Media: 200 * time.Millisecond})
}

func console(string) (batch.Task, error) {
	return batch.Task{Name: "console", Do: func(ctx context.Context, s *batch.Session) (batch.Outcome, error) {
		c, err := s.Console(ctx)
		if err != nil {
			return batch.Outcome{}, err
		}
		return batch.Outcome{Message: "open"}, c.Close()
	}}, nil
}

// around is what a daemon would know: what a role wants, who came for the
// image, and what the machine booted.
func around(b *bmcsim.BMC, image string, s *shelf, now func() time.Time) batch.Around {
	return batch.Around{
		Now: now,
		BIOS: func(string) (map[string]string, error) {
			return map[string]string{"virtualization": "on", "boot_mode": "uefi", "power_profile": "quiet"}, nil
		},
		Boot: func(string, time.Time) (bmc.Sign, bool) {
			return bmc.Sign{Device: bmc.DevicePXE, What: "DHCP discover of PXE firmware"}, b.Kept().Last == "Pxe"
		},
		Fetches: func(url string, since time.Time) ([]batch.Fetch, bool) { return s.since(since), url == image },
	}
}

// shelf serves the image, and remembers when.
type shelf struct {
	now func() time.Time

	mu    sync.Mutex
	times []time.Time
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.times = append(s.times, s.now())
	s.mu.Unlock()
	http.ServeContent(w, r, "boot.iso", time.Time{}, strings.NewReader(strings.Repeat("\x00", 64<<10)))
}

func (s *shelf) since(since time.Time) []batch.Fetch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.times) == 0 || s.times[len(s.times)-1].Before(since) {
		return nil
	}
	return []batch.Fetch{{From: "the BMC", Times: 1}}
}

// safe is what is on record of a password.
type safe struct{ inForce, pending site.Secret }

func (s *safe) Issue(context.Context, bmc.Target) (site.Secret, error) {
	s.pending = newSecret
	return newSecret, nil
}

func (s *safe) Pending(bmc.Target) site.Secret { return s.pending }

func (s *safe) Settle(_ context.Context, _ bmc.Target, changed bool) error {
	if changed {
		s.inForce = s.pending
	}
	s.pending = ""
	return nil
}

// TestEveryVerbMeetsEveryFault: nobody is told that something is so when it
// is not, no session and no password is left lying about, and the golden file
// has the words.
func TestEveryVerbMeetsEveryFault(t *testing.T) {
	faults := append([]sim.Fault{sim.NoFault}, bmcsim.Faults()...)
	var mu sync.Mutex
	lines := map[string]string{}
	t.Run("all", func(t *testing.T) {
		for _, f := range faults {
			for _, v := range verbs() {
				name := string(f)
				if f == sim.NoFault {
					name = "no fault"
				}
				t.Run(name+"/"+v.name, func(t *testing.T) {
					t.Parallel()
					line := meet(t, f, v)
					mu.Lock()
					defer mu.Unlock()
					lines[name+"/"+v.name] = line
				})
			}
		}
	})
	var page strings.Builder
	for _, f := range faults {
		name := string(f)
		if f == sim.NoFault {
			name = "no fault"
		}
		fmt.Fprintf(&page, "%s\n", name)
		for _, v := range verbs() {
			fmt.Fprintf(&page, "  %s\n%s", v.name, lines[name+"/"+v.name])
		}
	}
	golden(t, "testdata/faults.txt", page.String())
}

func meet(t *testing.T, f sim.Fault, v verb) string {
	shelf := &shelf{now: time.Now}
	server := httptest.NewServer(shelf)
	defer server.Close()
	image := server.URL + "/boot.iso"

	bmcTime := &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	b := bmcsim.New(bmcsim.Config{Password: secret, On: !v.off, Slow: 20 * time.Millisecond, Now: bmcTime.Now})
	front, err := bmcsim.Serve(netip.MustParseAddrPort("127.0.0.1:0"), b)
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	if strings.HasPrefix(v.name, "media eject") {
		if err := b.Insert(t.Context(), image); err != nil {
			t.Fatal(err)
		}
	}
	before := b.Kept()
	b.SetFaults(f)

	var task batch.Task
	dial := dialer()
	if v.safe != nil {
		task, dial = batch.PasswordRenew(v.safe, dialer()), bmc.OpenEither(dial, v.safe)
	} else if task, err = v.task(image); err != nil {
		t.Fatal(err)
	}
	// It counts looks, so that a busy computer sees what an idle one sees.
	looks := &clock{step: time.Second}
	shelf.now = looks.Now
	options := batch.Options{
		Dial:     dial,
		Patience: bmc.Patience{Settle: 200 * time.Millisecond, Power: 200 * time.Millisecond, Soft: 200 * time.Millisecond, Poll: 10 * time.Millisecond},
		Jitter:   func(time.Duration) time.Duration { return 0 },
		Deadline: time.Minute, Around: around(b, image, shelf, looks.Now),
		Clock: looks.Now,
	}
	if f == bmcsim.FaultHang {
		options.Deadline = 200 * time.Millisecond
	}
	target := bmc.Target{Name: "n1", Address: front.URL(0), Protocol: bmc.Redfish, Username: "admin", Password: secret}
	var seen []string
	r := batch.Run(t.Context(), options, []bmc.Target{target}, task, func(c batch.Change) { seen = append(seen, c.What) })[0]
	k, did := b.Kept(), b.Actions()

	for _, said := range append(seen, r.Message, r.Fix, r.Steps.String(), fmt.Sprint(r.Data)) {
		if strings.Contains(said, secret) || strings.Contains(said, newSecret) {
			t.Errorf("a password is in %q", said)
		}
	}
	if v.safe != nil && k.Password != v.safe.inForce && k.Password != v.safe.pending {
		t.Error("no password on record opens the BMC")
	}
	once := f == bmcsim.FaultNoOnce && strings.HasSuffix(v.name, " once")

	if r.OK && v.wanted != nil && !v.unseen && !once && !v.wanted(k, did) {
		t.Errorf("it was said to be done: %q; the BMC has %+v and did %q", r.Message, k, did)
	}
	plain := func(text string) string {
		text = strings.NewReplacer(image, "IMAGE", front.URL(0), "https://BMC", front.Addresses[0].String(), "BMC").Replace(text)
		return regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "ADDRESS")
	}
	var line strings.Builder
	fmt.Fprintf(&line, "    %s: %s\n", map[bool]string{true: "ok", false: "FAILED"}[r.OK], plain(r.Message))
	if r.Fix != "" {
		fmt.Fprintf(&line, "      next: %s\n", plain(r.Fix))
	}
	if r.Attempts > 1 {
		fmt.Fprintf(&line, "      attempts: %d\n", r.Attempts)
	}
	if v.wanted != nil {
		fmt.Fprintf(&line, "      in truth: %s\n", plain(truth(before, k, did)))
	}
	switch n := b.OpenSessions(); {
	case n > 0 && f == bmcsim.FaultFlaky:
		// The answer to a login was lost, and with it how to log out.
		fmt.Fprintf(&line, "      sessions left: %d\n", n)
	case n > 0:
		t.Errorf("%d sessions are left open", n)
	}
	if f == bmcsim.FaultReverts && v.wanted != nil {
		bmcTime.pass(time.Minute)
		fmt.Fprintf(&line, "      a minute later: %s\n", plain(truth(before, b.Kept(), did)))
	}
	return line.String()
}

// truth is what changed in the BMC.
func truth(was, is bmcsim.Kept, did []string) string {
	var parts []string
	note := func(changed bool, format string, args ...any) {
		if changed {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	note(len(did) > 0, "%s, and the power is %s", strings.Join(did, " "), is.Power)
	note(was.Target != is.Target, "%s %s", is.Target, is.Enabled)
	note(was.First != is.First, "%s is first in the boot order", is.First)
	for _, name := range slices.Sorted(maps.Keys(is.Pending)) {
		parts = append(parts, fmt.Sprintf("%s will be %v", name, is.Pending[name]))
	}
	note(was.Image != is.Image && is.Image != "", "the drive has %s", is.Image)
	note(was.Image != is.Image && is.Image == "", "the drive is empty")
	note(was.Password.Reveal() != is.Password.Reveal(), "the password is the new one")
	if len(parts) == 0 {
		return "nothing changed"
	}
	return strings.Join(parts, "; ")
}

type clock struct {
	step time.Duration // of each look; zero means 1 ms

	mu  sync.Mutex
	now time.Time
}

// Now goes on by itself, as a BMC's does: a reset has a time of its own.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(max(c.step, time.Millisecond))
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("operators see something else (-want +got; -update rewrites it):\n%s", diff)
	}
}
