package bmcsim

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/sim"
)

// What goes wrong with a BMC.
const (
	Fault401          sim.Fault = "bmc-401"           // no user name and password is right
	FaultSlow         sim.Fault = "bmc-slow"          // every answer takes Config.Slow
	FaultHang         sim.Fault = "bmc-hang"          // the connection is accepted, and nothing is ever answered
	FaultFlaky        sim.Fault = "bmc-flaky"         // every third request fails: refused, or done and the answer lost
	FaultLies         sim.Fault = "bmc-lies"          // success, and nothing is stored or switched
	FaultReverts      sim.Fault = "bmc-reverts"       // stored, and gone after Config.RevertAfter
	FaultDropsSession sim.Fault = "bmc-drops-session" // a session is forgotten after three requests
	FaultETagRequired sim.Fault = "bmc-etag-required" // no change without If-Match
	FaultNoOnce       sim.Fault = "bmc-no-once"       // an override for one boot is kept as one for all
	FaultBootsDisk    sim.Fault = "bmc-boots-disk"    // the override is kept and shown, and the firmware boots its first disk all the same
)

// Faults lists the names.
func Faults() []sim.Fault {
	return []sim.Fault{Fault401, FaultSlow, FaultHang, FaultFlaky, FaultLies, FaultReverts, FaultDropsSession, FaultETagRequired, FaultNoOnce, FaultBootsDisk}
}

// Recovers reports whether a machine whose BMC has this fault is installed all
// the same.
func Recovers(f sim.Fault) bool {
	return !slices.Contains([]sim.Fault{Fault401, FaultHang, FaultLies}, f)
}

// Reason is a part of what is said of a machine that is not. One whose BMC
// reverts is not if it reverts too soon.
func Reason(f sim.Fault) string {
	switch f {
	case Fault401:
		return "the BMC refuses user name or password"
	case FaultHang:
		return "the BMC does not answer"
	case FaultLies, FaultReverts:
		return "did not keep it"
	}
	return ""
}

// SetFaults replaces what goes wrong, from the next request on.
func (b *BMC) SetFaults(faults ...sim.Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = slices.Clone(faults)
}

// has needs the lock.
func (b *BMC) has(f sim.Fault) bool { return slices.Contains(b.faults, f) }

// lostReply is what becomes of one request of a flaky BMC.
type lostReply int

const (
	answered lostReply = iota
	refused            // 503, nothing was done
	dropped            // done, but the connection breaks before the answer
)

// misfortune decides, in order of arrival so that a test can count on it.
func (b *BMC) misfortune() lostReply {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	switch {
	case !b.has(FaultFlaky) || b.requests%3 != 0:
		return answered
	case b.requests%2 == 0:
		return refused
	}
	return dropped
}

var errGone = errors.New("the client went away, or the BMC was closed")

// delay makes the client wait, for ever if it must.
func (b *BMC) delay(r *http.Request) error {
	b.mu.Lock()
	slow, hang := b.has(FaultSlow), b.has(FaultHang)
	b.mu.Unlock()
	var over <-chan time.Time
	switch {
	case hang:
	case slow:
		t := time.NewTimer(b.config.Slow)
		defer t.Stop()
		over = t.C
	default:
		return nil
	}
	select {
	case <-over:
		return nil
	case <-r.Context().Done():
	case <-b.life.Done():
	}
	return errGone
}
