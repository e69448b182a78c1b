package batch

import (
	"context"
	"fmt"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Task is one thing that is done to each BMC.
type Task struct {
	Name      string // in words: power cycle
	Changes   bool   // it is more than a look
	Energizes bool   // it may switch machines on, which the stagger keeps apart
	Disrupts  bool   // it may take the power away, or reset
	Takes     time.Duration
	Do        func(ctx context.Context, s *Session) (Outcome, error)
	// Course stands in place of Do where a machine is talked to more than
	// once, or not at all, and time passes in between.
	Course func(ctx context.Context, v *Visit) (Outcome, error)
}

// Session is a conversation with one BMC.
type Session struct {
	bmc.Driver
	Target   bmc.Target
	Patience bmc.Patience
	Issued   []bmc.PowerAction // power actions on record from before this conversation
	Around   Around

	switched time.Time // when the machine was told to start, last
	swapped  bool      // to the other protocol
	before   func(context.Context, bmc.PowerAction) error
	note     func(context.Context, string) error
	other    func(context.Context) (bmc.Driver, error)
}

// Around is what is known of machines beside what their BMCs say. A nil
// member is not known here: no plan, or no daemon that sees the wire.
type Around struct {
	// BIOS are the firmware settings that the role of a machine wants: values
	// by concept, or by the vendor's name.
	BIOS func(target string) (map[string]string, error)
	// Boot is what a machine was seen to boot from on the wire since a moment,
	// if anything was seen yet.
	Boot func(target string, since time.Time) (bmc.Sign, bool)
	// Image is the URL at which the BMC of a machine finds an image of the
	// library.
	Image func(t bmc.Target, name string) (string, error)
	// Fetches are the clients that came for a URL since a moment. ours is
	// false for the URL of another server.
	Fetches func(url string, since time.Time) (clients []Fetch, ours bool)
	// Now is the clock of the moments; nil means time.Now.
	Now func() time.Time
}

// Fetch is one client that came for a URL.
type Fetch struct {
	From  string // address
	Times int
	Last  time.Time
}

// Switched is when the machine was told to start, last in this conversation;
// zero is never.
func (s *Session) Switched() time.Time { return s.switched }

func (s *Session) now() time.Time {
	if s.Around.Now == nil {
		return time.Now()
	}
	return s.Around.Now()
}

// say puts a step on record, and before the eyes of whoever watches.
func (s *Session) say(ctx context.Context, format string, args ...any) error {
	if s.note == nil {
		return nil
	}
	return s.note(ctx, fmt.Sprintf(format, args...))
}

// Outcome is what came of a task, in words and as data.
type Outcome struct {
	Message string
	Data    any
	Steps   bmc.Steps
}

// patience leaves room for reading back and for two more tries.
func patience(action bmc.PowerAction) time.Duration {
	if action == bmc.ActionSoft {
		return 7 * time.Minute
	}
	return 4 * time.Minute
}
