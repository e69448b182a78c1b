package bmc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// witness is a board whose BMC shows when its machine was reset.
type witness struct {
	board
	mark   func(time.Time) Mark
	asleep time.Duration // shown as off for so long after a reset
	lost   bool          // the answer to an order does not come back
	order  time.Time
}

func (w *witness) Mark(context.Context) (Mark, error) { return w.mark(w.order), nil }

func (w *witness) Power(context.Context) (PowerState, error) {
	if !w.order.IsZero() && time.Since(w.order) < w.asleep {
		return PowerOff, nil
	}
	return PowerOn, nil
}

func (w *witness) SetPower(context.Context, PowerAction) error {
	if !w.deaf {
		w.order = time.Now()
	}
	if w.lost {
		return ErrUnreachable
	}
	return nil
}

func TestReset(t *testing.T) {
	nothing := func(time.Time) Mark { return Mark{} }
	stamp := func(at time.Time) Mark { return Mark{Reset: at.UTC().Format(time.RFC3339)} }
	firmware := func(at time.Time) Mark {
		if at.IsZero() {
			return Mark{Progress: "OSRunning"}
		}
		return Mark{Progress: "MemoryInitializationStarted"}
	}
	for _, tt := range []struct {
		name  string
		d     *witness
		err   error
		says  string
		doubt bool
	}{
		{name: "its last reset is another one", d: &witness{mark: stamp}, says: "last reset 2000-01-01"},
		{name: "its firmware begins anew", d: &witness{mark: firmware}, says: "firmware is at MemoryInitializationStarted"},
		{name: "it was caught off", d: &witness{mark: nothing, asleep: time.Second}, says: "it was seen to be off"},
		{name: "nothing shows", d: &witness{mark: nothing}, says: "reset accepted, not proved", doubt: true},
		{name: "the answer was lost, the order was not", d: &witness{mark: stamp, lost: true}, says: "last reset 2000-01-01"},
		{name: "it lies", d: &witness{mark: stamp, board: board{deaf: true}}, err: ErrNotStored, says: "its last reset is still that of 0001-01-01"},
		{name: "it lies, and shows nothing", d: &witness{mark: nothing, board: board{deaf: true}}, says: "reset accepted, not proved", doubt: true},
		{name: "answer and order are lost", d: &witness{mark: stamp, lost: true, board: board{deaf: true}}, err: ErrNotStored, says: "the BMC was told to reset and shows no reset"},
		{name: "it stays off", d: &witness{mark: stamp, asleep: time.Hour}, err: ErrNotStored, says: "after power reset the BMC says off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, steps, err := Power(t.Context(), tt.d, ActionReset, Patience{}, nil)
				if !errors.Is(err, tt.err) || !strings.Contains(steps.String(), tt.says) || (steps.Doubt() != "") != tt.doubt {
					t.Errorf("%v, doubt %q; %s", err, steps.Doubt(), steps)
				}
			})
		})
	}
	// A BMC without any of it is not waited for.
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if state, steps, err := Power(t.Context(), &board{power: PowerOn}, ActionReset, Patience{}, nil); err != nil || state != PowerOn || steps.Doubt() == "" || time.Since(begin) > 5*time.Second {
			t.Errorf("%s, %v after %s; %s", state, err, time.Since(begin), steps)
		}
	})
}

func TestCompare(t *testing.T) {
	pxe, http, system := &Sign{Device: DevicePXE, What: "PXE"}, &Sign{Device: DeviceHTTP, What: "HTTP"}, &Sign{Device: DeviceDisk, What: "a system"}
	for _, tt := range []struct {
		want  Device
		sign  *Sign
		v     Verdict
		words string
	}{
		{DevicePXE, pxe, Complied, "seen on the wire: PXE"},
		{DevicePXE, http, Differed, "it booted from http although the BMC said pxe: HTTP"},
		{DevicePXE, system, Differed, "it booted from disk although the BMC said pxe: a system"},
		{DevicePXE, nil, NotSeen, "nothing came from it on the wire within 1m0s: it went to disk although the BMC said pxe, or it hangs"},
		{DeviceHTTP, http, Complied, "seen on the wire: HTTP"},
		{DeviceDisk, system, Complied, "seen on the wire: a system"},
		{DeviceDisk, nil, NotRefuted, "it did not ask the network within 1m0s"},
		{DeviceDisk, pxe, Differed, "it booted from pxe although the BMC said disk: PXE"},
		{DeviceCD, system, NotRefuted, "seen on the wire: a system"},
		{DeviceBIOS, nil, NotRefuted, "it did not ask the network within 1m0s"},
		{DeviceBIOS, http, Differed, "it booted from http although the BMC said bios: HTTP"},
	} {
		v := Compare(tt.want, tt.sign)
		if words := v.Words(tt.want, tt.sign, time.Minute); v != tt.v || words != tt.words {
			t.Errorf("%s and %v: %s, %q", tt.want, tt.sign, v, words)
		}
	}
}
