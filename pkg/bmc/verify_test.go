package bmc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// board is a BMC of which a test says how it behaves.
type board struct {
	Driver
	power   PowerState
	boot    Boot
	ways    []Way
	told    []string
	deaf    bool                 // says yes and does nothing
	keeps   func(Way, Boot) bool // which way it keeps what it is told; nil keeps all
	refuses error                // every order
	objects map[PowerAction]error
	slow    time.Duration // until an order is carried out
	readErr error         // every look

	next PowerState // from due on
	due  time.Time
}

func (b *board) Ways() []Way { return b.ways }

func (b *board) Power(context.Context) (PowerState, error) {
	if b.next != "" && !time.Now().Before(b.due) {
		b.power = b.next
	}
	return b.power, b.readErr
}

func (b *board) SetPower(_ context.Context, a PowerAction) error {
	b.told = append(b.told, string(a))
	if err := b.objects[a]; err != nil {
		return err
	}
	if b.refuses != nil || b.deaf {
		return b.refuses
	}
	state := PowerOn
	if a == ActionOff || a == ActionSoft {
		state = PowerOff
	}
	b.next, b.due = state, time.Now().Add(b.slow)
	return nil
}

func (b *board) Boot(context.Context) (Boot, error) { return b.boot, b.readErr }

func (b *board) SetBoot(_ context.Context, want Boot, way Way) error {
	b.told = append(b.told, way.Name)
	if b.refuses == nil && !b.deaf && (b.keeps == nil || b.keeps(way, want)) {
		b.boot = want
	}
	return b.refuses
}

func TestPower(t *testing.T) {
	for _, tt := range []struct {
		name   string
		board  board
		action PowerAction
		told   string
		state  PowerState
		err    error
		says   string
	}{
		{name: "on is on already", board: board{power: PowerOn}, action: ActionOn, state: PowerOn},
		{name: "off is off already", board: board{power: PowerOff}, action: ActionOff, state: PowerOff},
		{name: "on", board: board{power: PowerOff, slow: 20 * time.Second}, action: ActionOn, told: "on", state: PowerOn},
		{name: "a cycle is off, then on", board: board{power: PowerOn, slow: 5 * time.Second}, action: ActionCycle, told: "off on", state: PowerOn},
		{name: "a cycle of what is off is on", board: board{power: PowerOff}, action: ActionCycle, told: "off on", state: PowerOn},
		{name: "a BMC that objects to switching off what is off", board: board{power: PowerOff, objects: map[PowerAction]error{ActionOff: ErrUnsupported}}, action: ActionCycle, told: "off on", state: PowerOn},
		{name: "a BMC that objects to switching off what is on", board: board{power: PowerOn, objects: map[PowerAction]error{ActionOff: ErrUnsupported}}, action: ActionCycle, told: "off", state: PowerUnknown, err: ErrUnsupported},
		{name: "a reset keeps the power", board: board{power: PowerOn}, action: ActionReset, told: "reset", state: PowerOn},
		{name: "a reset of what is off is on", board: board{power: PowerOff}, action: ActionReset, told: "on", state: PowerOn},
		{name: "a system that ignores the button", board: board{power: PowerOn, deaf: true}, action: ActionSoft, told: "soft", state: PowerOn, says: "did not shut down within 5m0s: use power off"},
		{name: "a BMC that lies", board: board{power: PowerOn, deaf: true}, action: ActionCycle, told: "off", state: PowerOn, err: ErrNotStored, says: "still says on"},
		{name: "a BMC that refuses", board: board{power: PowerOn, refuses: ErrLogin}, action: ActionOff, told: "off", state: PowerUnknown, err: ErrLogin},
		{name: "a BMC that cannot be read", board: board{readErr: ErrUnreachable}, action: ActionOff, state: PowerUnknown, err: ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := tt.board
				var recorded []string
				state, steps, err := Power(t.Context(), &b, tt.action, Patience{}, func(a PowerAction) error {
					recorded = append(recorded, string(a))
					return nil
				})
				if told := strings.Join(b.told, " "); told != tt.told || state != tt.state || !slices.Equal(recorded, b.told) {
					t.Errorf("told %q (recorded %q), state %s; want %q, %s\n%s", told, recorded, state, tt.told, tt.state, steps)
				}
				if (err != nil) != (tt.err != nil || tt.says != "") || tt.err != nil && !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want %v %q", err, tt.err, tt.says)
				}
			})
		})
	}
}

// TestOrder: an order that nobody waits for is one command, unless the BMC
// objects; and nobody is told that it was carried out.
func TestOrder(t *testing.T) {
	d5 := fmt.Errorf("%w (completion code d5h)", ErrUnsupported)
	for _, tt := range []struct {
		name   string
		board  board
		action PowerAction
		told   string
		state  PowerState
		err    error
		doubt  string
	}{
		{name: "a cycle", board: board{power: PowerOn}, action: ActionCycle, told: "cycle", state: PowerUnknown, doubt: "power cycle accepted, not looked at"},
		{name: "a BMC that lies is believed", board: board{power: PowerOn, deaf: true}, action: ActionCycle, told: "cycle", state: PowerUnknown, doubt: "power cycle accepted, not looked at"},
		{name: "a cycle of what is off", board: board{power: PowerOff, objects: map[PowerAction]error{ActionCycle: d5, ActionOff: d5}}, action: ActionCycle, told: "cycle off on", state: PowerOn},
		{name: "a BMC without a cycle", board: board{power: PowerOn, objects: map[PowerAction]error{ActionCycle: d5}}, action: ActionCycle, told: "cycle off on", state: PowerOn},
		{name: "one that is on already and says so", board: board{power: PowerOn, objects: map[PowerAction]error{ActionOn: errors.New("it is on")}}, action: ActionOn, told: "on", state: PowerOn},
		{name: "one that is away", board: board{power: PowerOn, refuses: ErrUnreachable}, action: ActionCycle, told: "cycle", state: PowerUnknown, err: ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := tt.board
				var recorded []string
				state, steps, err := Order(t.Context(), &b, tt.action, Patience{}, func(a PowerAction) error {
					recorded = append(recorded, string(a))
					return nil
				})
				if told := strings.Join(b.told, " "); told != tt.told || state != tt.state || !errors.Is(err, tt.err) || steps.Doubt() != tt.doubt || !slices.Equal(recorded, b.told) {
					t.Errorf("told %q (recorded %q), %s, %v, doubt %q; %s", told, recorded, state, err, steps.Doubt(), steps)
				}
			})
		})
	}
}

// What cannot be recorded is not done: after a crash nobody would know of it.
func TestPowerIsRecordedFirst(t *testing.T) {
	b := board{power: PowerOn}
	full := errors.New("disk full")
	if _, _, err := Power(t.Context(), &b, ActionCycle, Patience{}, func(PowerAction) error { return full }); !errors.Is(err, full) || len(b.told) > 0 {
		t.Errorf("error %v, told %v", err, b.told)
	}
}

func TestSetBootVerified(t *testing.T) {
	standard, raw := Way{Name: "standard"}, Way{Name: "vendor", Source: "there"}
	want := Boot{Device: DevicePXE, Mode: ModeUEFI}
	for _, tt := range []struct {
		name  string
		board board
		told  string
		err   error
	}{
		{name: "it sticks", board: board{ways: []Way{standard, raw}}, told: "standard"},
		{name: "the vendor's way sticks", board: board{ways: []Way{standard, raw}, keeps: func(w Way, _ Boot) bool { return w == raw }}, told: "standard vendor"},
		{name: "nothing sticks", board: board{ways: []Way{standard, raw}, deaf: true}, told: "standard vendor", err: ErrNotStored},
		{name: "a refused login is not tried again", board: board{ways: []Way{standard, raw}, refuses: ErrLogin}, told: "standard", err: ErrLogin},
		{name: "there is no way", board: board{}, err: ErrUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := tt.board
				got, steps, err := SetBootVerified(t.Context(), &b, want, Patience{})
				if told := strings.Join(b.told, " "); told != tt.told || !errors.Is(err, tt.err) || err == nil && !want.KeptAs(got) || len(steps) != len(b.told) {
					t.Errorf("told %q, got %s, error %v; want %q, %v\n%s", told, got, err, tt.told, tt.err, steps)
				}
			})
		})
	}
}

// TestWhatIsSaidOfWays: of several ways that failed, people see the one that
// says most of the BMC.
func TestWhatIsSaidOfWays(t *testing.T) {
	notMeant := NotMeant{Way: "vendor", Reason: "it is for another device"}
	cannot := fmt.Errorf("http is none of (Pxe, Hdd): %w", ErrUnsupported)
	other := fmt.Errorf("no settings resource: %w", ErrUnsupported)
	refused, again := errors.New("400"), errors.New("400 again")
	for _, tt := range []struct {
		name   string
		errors []error
		want   error
	}{
		{"nothing was meant", []error{notMeant}, ErrUnsupported},
		{"what was not meant says nothing", []error{notMeant, cannot, notMeant}, cannot},
		{"the standard's way comes before those that follow", []error{cannot, other}, cannot},
		{"a refusal says more", []error{cannot, refused, other, notMeant}, refused},
		{"the last refusal", []error{refused, again}, again},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &clumsy{errors: tt.errors}
			if _, _, err := SetBootVerified(t.Context(), d, Boot{Device: DeviceHTTP}, Patience{}); !errors.Is(err, tt.want) {
				t.Errorf("it says %v", err)
			}
		})
	}
}

// clumsy has one way for each of its errors.
type clumsy struct {
	Driver
	errors []error
	next   int
}

func (c *clumsy) Ways() []Way { return make([]Way, len(c.errors)) }

func (c *clumsy) SetBoot(context.Context, Boot, Way) error {
	c.next++
	return c.errors[c.next-1]
}

func TestKeptAs(t *testing.T) {
	for _, tt := range []struct {
		want, got Boot
		kept      bool
	}{
		{Boot{Device: DevicePXE}, Boot{Device: DevicePXE}, true},
		{Boot{Device: DevicePXE}, Boot{Device: DevicePXE, Persistent: true}, true},
		{Boot{Device: DevicePXE, Persistent: true}, Boot{Device: DevicePXE}, false},
		{Boot{Device: DevicePXE, Mode: ModeUEFI}, Boot{Device: DevicePXE}, true},
		{Boot{Device: DevicePXE, Mode: ModeUEFI}, Boot{Device: DevicePXE, Mode: ModeBIOS}, false},
		{Boot{Device: DeviceHTTP, URL: "http://a/"}, Boot{Device: DeviceHTTP, URL: "http://a/"}, true},
		{Boot{Device: DeviceHTTP, URL: "http://a/"}, Boot{Device: DeviceHTTP}, true},
		{Boot{Device: DeviceHTTP, URL: "http://a/"}, Boot{Device: DeviceHTTP, URL: "http://b/"}, false},
		{Boot{Device: DeviceHTTP}, Boot{Device: DeviceHTTP, URL: "http://b/"}, true},
		{Boot{Device: DeviceNone}, Boot{Device: DevicePXE}, false},
		{Boot{Device: DeviceNone}, Boot{Device: DeviceNone}, true},
	} {
		if tt.want.KeptAs(tt.got) != tt.kept {
			t.Errorf("wanted %s, it says %s: kept is not %t", tt.want, tt.got, tt.kept)
		}
	}
}
