package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// told is each target with its phase and message.
func told(results []Result) []string {
	var lines []string
	for _, r := range results {
		lines = append(lines, fmt.Sprintf("%s %s: %s", r.Target, r.Phase, r.Message))
	}
	return lines
}

// quiet makes retries wait as long as they may.
func quiet(o Options, r *rack) Options {
	o.Dial, o.Jitter = r.dial, func(limit time.Duration) time.Duration { return limit }
	return o
}

func TestBatch(t *testing.T) {
	for _, tt := range []struct {
		name    string
		bmcs    []string
		targets []string
		o       Options
		set     func(map[string]*fake)
		task    Task
		want    []string
		log     []string
	}{
		{
			name: "all is well", bmcs: []string{"a", "b"}, targets: []string{"a", "b"}, task: PowerStatus(),
			want: []string{"a done: off", "b done: off"},
		},
		{
			name: "a failed canary stops all", bmcs: []string{"a", "c", "d"}, targets: []string{"a", "b", "c", "d"}, o: Options{Canary: 2}, task: PowerStatus(),
			want: []string{"a done: off", "b failed: opening a session: b: the BMC does not answer", "c not started: not started: the canary b failed", "d not started: not started: the canary b failed"},
		},
		{
			name: "canaries that succeed let the rest begin", bmcs: []string{"a", "b", "c"}, targets: []string{"a", "b", "c"}, o: Options{Canary: 1}, task: Power(bmc.ActionOn),
			set:  func(f map[string]*fake) { f["a"].slow = 10 * time.Second },
			want: []string{"a done: on", "b done: on", "c done: on"},
			log:  []string{"a on 10", "b on 20", "c on 20"},
		},
		{
			name: "too many failed", bmcs: []string{"c", "d"}, targets: []string{"a", "b", "c", "d"}, o: Options{MaxFailures: 2, Parallel: 1}, task: PowerStatus(),
			want: []string{"a failed: opening a session: a: the BMC does not answer", "b failed: opening a session: b: the BMC does not answer", "c not started: not started: 2 failed", "d not started: not started: 2 failed"},
		},
		{
			name: "what runs is let finish", bmcs: []string{"b", "c"}, targets: []string{"a", "b", "c"}, o: Options{MaxFailures: 1, Parallel: 2}, task: PowerStatus(),
			set:  func(f map[string]*fake) { f["b"].slow = time.Minute },
			want: []string{"a failed: opening a session: a: the BMC does not answer", "b done: off", "c not started: not started: 1 failed"},
		},
		{
			name: "power-ons are kept apart", bmcs: []string{"a", "b", "c"}, targets: []string{"a", "b", "c"}, o: Options{Stagger: 5 * time.Second}, task: Power(bmc.ActionOn),
			set:  func(f map[string]*fake) { f["b"].slow, f["c"].slow = time.Second, 2*time.Second },
			want: []string{"a done: on", "b done: on", "c done: on"},
			log:  []string{"a on 0", "b on 5", "c on 10"},
		},
		{
			name: "a cycle keeps only its second half apart", bmcs: []string{"a", "b"}, targets: []string{"a", "b"}, o: Options{Stagger: 5 * time.Second}, task: Power(bmc.ActionCycle),
			set: func(f map[string]*fake) {
				f["a"].power, f["b"].power, f["b"].slow = bmc.PowerOn, bmc.PowerOn, time.Second
			},
			want: []string{"a done: on", "b done: on"},
			log:  []string{"a off 0", "a on 0", "b off 0", "b on 5"},
		},
		{
			name: "cycles that nobody waits for are kept apart, too", bmcs: []string{"a", "b"}, targets: []string{"a", "b"}, o: Options{Stagger: 5 * time.Second, Parallel: 1}, task: PowerOrder(bmc.ActionCycle),
			want: []string{"a done: power cycle accepted, not looked at", "b done: power cycle accepted, not looked at"},
			log:  []string{"a cycle 0", "b cycle 5"},
		},
		{
			name: "machines that are on take no turn", bmcs: []string{"a", "b"}, targets: []string{"a", "b"}, o: Options{Stagger: time.Minute}, task: Power(bmc.ActionOn),
			set:  func(f map[string]*fake) { f["a"].power = bmc.PowerOn },
			want: []string{"a done: on", "b done: on"},
			log:  []string{"b on 0"},
		},
		{
			name: "a BMC that comes back", bmcs: []string{"a"}, targets: []string{"a"}, task: Power(bmc.ActionOn),
			set:  func(f map[string]*fake) { f["a"].away = 2 },
			want: []string{"a done: on"},
			log:  []string{"a on 3"},
		},
		{
			name: "a wrong password is not tried again", bmcs: []string{"a"}, targets: []string{"a"}, task: PowerStatus(),
			set:  func(f map[string]*fake) { f["a"].refuses = bmc.ErrLogin },
			want: []string{"a failed: reading the power state: the BMC refuses user name or password"},
		},
		{
			name: "a message of several lines is one in a table", bmcs: []string{"a"}, targets: []string{"a"}, task: PowerStatus(),
			set:  func(f map[string]*fake) { f["a"].refuses = errors.New("no:\n\tnot\r\n today") },
			want: []string{"a failed: reading the power state: no: not today"},
		},
		{
			name: "a dead BMC costs its own time", bmcs: []string{"a", "b", "c"}, targets: []string{"a", "b", "c"}, o: Options{Parallel: 2, Deadline: time.Hour}, task: Power(bmc.ActionOn),
			set:  func(f map[string]*fake) { f["a"].slow = 2 * time.Hour },
			want: []string{"a failed: gave up after 1h0m0s: reading the power state", "b done: on", "c done: on"},
			log:  []string{"b on 0", "c on 0"},
		},
		{
			name: "a resumed batch skips what is done", bmcs: []string{"b", "c"}, targets: []string{"a", "b", "c"}, task: Power(bmc.ActionCycle),
			o:    Options{Canary: 1, Past: map[string]Past{"a": {Done: true, Message: "on"}, "b": {Issued: []bmc.PowerAction{bmc.ActionOff}}}}, // b is off
			set:  func(f map[string]*fake) { f["c"].power = bmc.PowerOn },
			want: []string{"a done: on", "b done: on", "c done: on"},
			log:  []string{"b on 0", "c off 0", "c on 0"},
		},
		{
			name: "what failed before is not tried again, and counts", bmcs: []string{"a", "b"}, targets: []string{"a", "b"}, task: PowerStatus(),
			o:    Options{MaxFailures: 1, Past: map[string]Past{"a": {Failed: true, Message: "it burns"}}},
			want: []string{"a failed: it burns", "b not started: not started: 1 failed"},
		},
		{
			name: "one BMC twice is talked to once at a time", bmcs: []string{"a"}, targets: []string{"a", "a"}, task: PowerStatus(),
			set:  func(f map[string]*fake) { f["a"].slow = time.Second },
			want: []string{"a done: off", "a done: off"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRack(tt.bmcs...)
				if tt.set != nil {
					tt.set(r.bmcs)
				}
				results := Run(t.Context(), quiet(tt.o, r), targets(tt.targets...), tt.task, nil)
				if diff := cmp.Diff(tt.want, told(results)); diff != "" {
					t.Error(diff)
				}
				slices.Sort(r.log)
				if diff := cmp.Diff(tt.log, r.log); diff != "" {
					t.Errorf("orders: %s", diff)
				}
				if r.open != 0 {
					t.Errorf("%d sessions are left open", r.open)
				}
			})
		})
	}
}

// TestCancel: a cancelled batch ends, with nothing left behind, which
// synctest checks of the goroutines.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack("a", "b")
		r.bmcs["a"].slow = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(time.Minute, cancel).Stop()
		start := time.Now()
		results := Run(ctx, quiet(Options{Parallel: 1, Deadline: 2 * time.Hour}, r), targets("a", "b"), PowerStatus(), nil)
		if diff := cmp.Diff([]string{"a failed: cancelled", "b not started: not started: cancelled"}, told(results)); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(start); took != time.Minute || r.open != 0 {
			t.Errorf("it took %s, and %d sessions are open", took, r.open)
		}
	})
}

// TestCancelledCycle: a machine that was switched off to be cycled is switched
// on, whatever becomes of the batch.
func TestCancelledCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack("a", "b")
		r.bmcs["a"].power, r.bmcs["a"].slow = bmc.PowerOn, 4*time.Second
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(2*time.Second, cancel).Stop() // while the off is read back
		results := Run(ctx, quiet(Options{Parallel: 1}, r), targets("a", "b"), Power(bmc.ActionCycle), nil)
		if diff := cmp.Diff([]string{"a done: on", "b not started: not started: cancelled"}, told(results)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"a off 0", "a on 4"}, r.log); diff != "" || r.open != 0 {
			t.Errorf("%d open %s", r.open, diff)
		}
	})
}

// TestCancelledBeforeTheCycle: what has not begun is not begun.
func TestCancelledBeforeTheCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack("a")
		r.bmcs["a"].power = bmc.PowerOn
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(2*time.Second, cancel).Stop()
		o := quiet(Options{}, r)
		o.Dial = func(ctx context.Context, x bmc.Target) (bmc.Driver, error) {
			time.Sleep(4 * time.Second) // of the bubble's clock
			return r.dial(ctx, x)
		}
		results := Run(ctx, o, targets("a"), Power(bmc.ActionCycle), nil)
		if diff := cmp.Diff([]string{"a failed: cancelled"}, told(results)); diff != "" || len(r.log) > 0 {
			t.Error(diff, r.log)
		}
	})
}

// TestBusy: a BMC without a free session is waited for as long as there is
// time.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack("a")
		o := quiet(Options{}, r)
		start := time.Now()
		o.Dial = func(ctx context.Context, target bmc.Target) (bmc.Driver, error) {
			if time.Since(start) < time.Minute {
				return nil, bmc.ErrBusy
			}
			return r.dial(ctx, target)
		}
		if res := Run(t.Context(), o, targets("a"), PowerStatus(), nil)[0]; !res.OK || res.Attempts < 5 {
			t.Errorf("%+v", res)
		}
	})
}

// TestRecordFirst: what cannot be put on record is not sent.
func TestRecordFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack("a")
		o := quiet(Options{}, r)
		o.Before = func(_ context.Context, target string, a bmc.PowerAction) error {
			if target != "a" || a != bmc.ActionOn || len(r.log) > 0 {
				t.Errorf("recorded %s of %s after %v", a, target, r.log)
			}
			return errors.New("the disk is full")
		}
		results := Run(t.Context(), o, targets("a"), Power(bmc.ActionOn), nil)
		if len(r.log) > 0 || !strings.Contains(results[0].Message, "recording power on: the disk is full") {
			t.Errorf("%v was sent; %v", r.log, told(results))
		}
	})
}

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack("a")
		r.bmcs["a"].away = 1
		var seen []string
		results := Run(t.Context(), quiet(Options{}, r), targets("a"), Power(bmc.ActionOn), func(c Change) {
			seen = append(seen, fmt.Sprintf("%s %s: %s", c.Target, c.Phase, c.What))
			if (c.Result != nil) != (c.Phase == Done) {
				t.Errorf("%s comes with the result %v", c.Phase, c.Result)
			}
		})
		want := []string{
			"a running: power on",
			"a retrying: opening a session: a: the BMC does not answer: trying again in 1s",
			"a running: power on issued",
			"a done: on",
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
		if res := results[0]; res.Attempts != 2 || res.Took != time.Second || res.Known.CipherSuite != 17 || res.Steps.String() != "it is off; power on, read back: on" {
			t.Errorf("%+v", res)
		}
	})
}

// TestResumedPower is what a restarted batch does with a machine whose power
// it may or may not have touched.
func TestResumedPower(t *testing.T) {
	const on, off, soft, cycle, reset = bmc.ActionOn, bmc.ActionOff, bmc.ActionSoft, bmc.ActionCycle, bmc.ActionReset
	for _, tt := range []struct {
		action bmc.PowerAction
		issued []bmc.PowerAction
		state  bmc.PowerState
		sent   string
	}{
		{on, nil, bmc.PowerOff, "on"},
		{on, []bmc.PowerAction{on}, bmc.PowerOn, ""},
		{on, []bmc.PowerAction{on}, bmc.PowerOff, "on"},
		{off, []bmc.PowerAction{off}, bmc.PowerOff, ""},
		{off, []bmc.PowerAction{off}, bmc.PowerOn, "off"},
		{soft, []bmc.PowerAction{soft}, bmc.PowerOff, ""},
		{soft, []bmc.PowerAction{soft}, bmc.PowerOn, "soft"},
		{cycle, nil, bmc.PowerOn, "off on"},
		{cycle, nil, bmc.PowerOff, "off on"},
		{cycle, []bmc.PowerAction{off}, bmc.PowerOn, "off on"}, // the off was recorded and never sent
		{cycle, []bmc.PowerAction{off}, bmc.PowerOff, "on"},
		{cycle, []bmc.PowerAction{off, on}, bmc.PowerOff, "on"},
		{cycle, []bmc.PowerAction{off, on}, bmc.PowerOn, ""},
		{cycle, []bmc.PowerAction{on}, bmc.PowerOn, ""}, // it was off when the cycle began
		{cycle, []bmc.PowerAction{off, off, on}, bmc.PowerOn, ""},
		{cycle, []bmc.PowerAction{cycle}, bmc.PowerOn, ""}, // an order that nobody waited for
		{cycle, []bmc.PowerAction{cycle}, bmc.PowerOff, "on"},
		{reset, nil, bmc.PowerOn, "reset"},
		{reset, []bmc.PowerAction{reset}, bmc.PowerOn, ""},
		{reset, []bmc.PowerAction{on}, bmc.PowerOn, ""},
		{reset, []bmc.PowerAction{on}, bmc.PowerOff, "on"},
	} {
		t.Run(fmt.Sprintf("%s after %v, machine %s", tt.action, tt.issued, tt.state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRack("a")
				r.bmcs["a"].power = tt.state
				o := quiet(Options{Past: map[string]Past{"a": {Issued: tt.issued}}}, r)
				res := Run(t.Context(), o, targets("a"), Power(tt.action), nil)[0]
				var sent []string
				for _, line := range r.log {
					sent = append(sent, strings.Fields(line)[1])
				}
				if !res.OK || strings.Join(sent, " ") != tt.sent {
					t.Errorf("sent %q, want %q; %s", sent, tt.sent, res.Message)
				}
			})
		})
	}
}

// TestCaps: whatever the racks and the times, no cap is ever exceeded, every
// target ends once, and no BMC has two sessions.
func TestCaps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(rt, "targets")
		o := Options{
			Parallel: rapid.IntRange(1, 6).Draw(rt, "parallel"), PerRack: rapid.IntRange(1, 3).Draw(rt, "per rack"),
			Canary: rapid.IntRange(0, 3).Draw(rt, "canary"), MaxFailures: rapid.IntRange(0, 3).Draw(rt, "failures"),
		}
		var list []bmc.Target
		slow, bad := map[string]time.Duration{}, map[string]bool{}
		for i := range n {
			name := fmt.Sprint("n", i)
			list = append(list, bmc.Target{Name: name, Address: name, Rack: rapid.SampledFrom([]string{"A", "B", "C"}).Draw(rt, "rack")})
			slow[name] = time.Duration(rapid.IntRange(0, 5).Draw(rt, "seconds")) * time.Second
			bad[name] = rapid.IntRange(0, 9).Draw(rt, "luck") == 0
		}
		synctest.Test(t, func(*testing.T) {
			r := newRack()
			for _, x := range list {
				f := &fake{rack: r, name: x.Name, slow: slow[x.Name], power: bmc.PowerOff}
				if bad[x.Name] {
					f.refuses = bmc.ErrLogin
				}
				r.bmcs[x.Name] = f
			}
			racks, running, ends, failed := map[string]int{}, 0, map[string]int{}, 0
			rackOf := map[string]string{}
			for _, x := range list {
				rackOf[x.Name] = x.Rack
			}
			results := Run(context.Background(), quiet(o, r), list, PowerStatus(), func(c Change) {
				switch c.Phase {
				case Running:
					running++
					racks[rackOf[c.Target]]++
				case Done, Failed:
					running--
					racks[rackOf[c.Target]]--
					ends[c.Target]++
				case NotStarted:
					ends[c.Target]++
				}
				if running > o.Parallel || racks[rackOf[c.Target]] > o.PerRack {
					rt.Errorf("%d run, %d of them in rack %s", running, racks[rackOf[c.Target]], rackOf[c.Target])
				}
			})
			for _, res := range results {
				if ends[res.Target] != 1 {
					rt.Errorf("%s ended %d times", res.Target, ends[res.Target])
				}
				if res.Phase == Failed {
					failed++
				}
				if res.OK == bad[res.Target] && res.Phase != NotStarted {
					rt.Errorf("%+v", res)
				}
			}
			// What was running when the last one was counted may fail, too.
			if o.MaxFailures > 0 && failed >= o.MaxFailures+o.Parallel || r.open != 0 {
				rt.Errorf("%d failed, %d sessions open", failed, r.open)
			}
		})
	})
}

// TestOnItsWayDown: a machine that is still going down when the batch goes on
// is not told again.
func TestOnItsWayDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack("a")
		r.bmcs["a"].power, r.bmcs["a"].down = bmc.PowerOn, time.Now().Add(5*time.Second)
		o := quiet(Options{Past: map[string]Past{"a": {Issued: []bmc.PowerAction{bmc.ActionOff}}}}, r)
		res := Run(t.Context(), o, targets("a"), Power(bmc.ActionCycle), nil)[0]
		if diff := cmp.Diff([]string{"a on 5"}, r.log); diff != "" || !res.OK {
			t.Errorf("%s %s", res.Message, diff)
		}
	})
}

func TestSessionsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack("a")
		r.bmcs["a"].slow = time.Minute
		o := quiet(Options{Sessions: &Sessions{}}, r)
		first := make(chan []Result)
		go func() { first <- Run(t.Context(), o, targets("a"), PowerStatus(), nil) }()
		second := Run(t.Context(), o, targets("a"), PowerStatus(), nil)
		for _, results := range [][]Result{<-first, second} {
			if !results[0].OK {
				t.Error(results[0].Message)
			}
		}
	})
}
