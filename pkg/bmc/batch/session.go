package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Sessions keeps every BMC to one conversation at a time. The zero value is
// ready.
type Sessions struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the holder is done
}

// controller is the BMC behind an address: several systems of one share it.
func controller(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address, _, _ = strings.Cut(rest, "/")
	}
	return strings.ToLower(address)
}

// acquire waits until nobody else talks to the BMC at address.
func (s *Sessions) acquire(ctx context.Context, address string) (release func(), err error) {
	address = controller(address)
	for {
		s.mu.Lock()
		other, taken := s.held[address]
		if !taken {
			if s.held == nil {
				s.held = map[string]chan struct{}{}
			}
			mine := make(chan struct{})
			s.held[address] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.held, address)
				s.mu.Unlock()
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another job that talks to this BMC: %w", ctx.Err())
		}
	}
}

// worthRetrying: a BMC that was away may be back. One that is busy will be
// free, and a machine whose power was touched must be seen to have it: for
// both only the deadline counts. A reset is not sent twice, because nothing
// shows whether the first one was carried out.
func (r *run) worthRetrying(err error, attempts int, issued []bmc.PowerAction) bool {
	switch {
	case slices.Contains(issued, bmc.ActionReset):
		return false
	case errors.Is(err, bmc.ErrBusy):
		return true
	case errors.Is(err, bmc.ErrUnreachable):
		return attempts < r.o.Tries || len(issued) > 0
	default:
		return false
	}
}

// backoff bounds the wait before the next try: 1 s, 2 s, 4 s, … 30 s.
func backoff(attempt int) time.Duration {
	if attempt > 5 {
		return 30 * time.Second
	}
	return min(time.Second<<(attempt-1), 30*time.Second)
}

// words is an error as an operator reads it.
func words(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return "cancelled"
	default:
		// That time is up was said already, in better words.
		text := strings.TrimSuffix(oneLine(err), ": "+context.DeadlineExceeded.Error())
		return strings.TrimSuffix(text, ": "+context.Canceled.Error())
	}
}

// oneLine is an error for a table: BMCs have messages of several lines.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// advice is the next step after an error.
func advice(err error) string {
	var own *Failure
	switch {
	case errors.As(err, &own):
		return own.Fix
	case errors.Is(err, bmc.ErrOtherMachine):
		return "find out whether a cable, an address or a board was swapped, or correct the plan"
	case errors.Is(err, bmc.ErrChangeFirst):
		return "give it a password of its own with `rackseed bmc password`"
	case errors.Is(err, bmc.ErrLocked):
		return "wait until it listens again, which takes from ten minutes to a day, or unlock it in its own pages"
	case errors.Is(err, bmc.ErrLogin):
		return "give the user name and password of this BMC; most BMCs lock an account after a few wrong ones"
	case errors.Is(err, bmc.ErrCertificate):
		return "find out why it changed; if it was renewed, give the new one with --pin"
	case errors.Is(err, bmc.ErrUntrusted):
		return "give the CA that signed it with --ca, or the certificate itself with --pin"
	case errors.Is(err, bmc.ErrNoTLS):
		return "give its address as http://HOST:PORT, if nobody else can read its password on the way"
	case errors.Is(err, bmc.ErrUnreachable):
		return "look at its cable, its address and whether IPMI over LAN or Redfish is switched on"
	case errors.Is(err, bmc.ErrBusy):
		return "wait until other sessions have ended, or reset the BMC"
	case errors.Is(err, bmc.ErrElsewhere):
		return "look at its console, at the boot order in its setup, and at whether its NIC boots from the network at all"
	case errors.Is(err, ErrDiffers):
		return "`rackseed bios set` sets what differs"
	case errors.Is(err, bmc.ErrNotStored):
		return "look at the console; the BMC accepted the order and did not follow it"
	case errors.Is(err, bmc.ErrNoDrive):
		return "insert the medium in the BMC's own pages, or boot from the network"
	case errors.Is(err, bmc.ErrUnsupported):
		return "try the other protocol with --protocol"
	default:
		return ""
	}
}
