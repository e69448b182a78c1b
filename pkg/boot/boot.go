// Package boot answers one question: what should this machine do next? DHCP,
// TFTP, iPXE, HTTP, the BMC engine, the UI and `rackseed explain` all ask For
// and none of them decides for itself.
package boot

import (
	"fmt"
	"time"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

// Action is what a machine should do next.
type Action string

// The actions.
const (
	Ignore  Action = "ignore"  // not in the plan: it is told nothing
	Local   Action = "local"   // start from its own disk
	Install Action = "install" // start the installer
	Hold    Action = "hold"    // wait, say why on the console, ask again
	// Discover starts a system that looks at the machine and writes to no disk.
	Discover Action = "discover"
)

// Decision is an action and everything that follows from it.
type Decision struct {
	Action    Action
	Node      *site.Node // nil for a machine that the plan does not name
	Attempt   int        // the attempt that an Install belongs to
	Image     site.Image // with Install and Discover
	LocalBoot site.LocalBoot
	Why       string
}

// For decides what m should do at now. A machine gets an installer only if
// it is armed, or if an attempt that an arming began still runs.
func For(s *site.State, m *site.Machine, now time.Time) Decision {
	if m == nil {
		return stranger(s)
	}
	d := Decision{Action: Local, Node: m.Node, Attempt: m.Attempt.Number, LocalBoot: s.Settings.LocalBootOf(m.Node)}
	switch {
	case m.Phase == site.PhaseHeld:
		d.Action, d.Why = Hold, "held: "+m.Reason
	case wanted(s, m, now):
		return look(s, d, m.Discovery.By+" wants to look at it")
	case m.Installed:
		d.Why = fmt.Sprintf("installed by attempt %d: boots its disk until it is armed again", m.Attempt.Number)
	case m.Phase == site.PhaseArmed:
		return armed(s, m, now, d)
	case m.Running():
		return running(s, m, d)
	case m.Phase == site.PhaseFailed && m.Wiped:
		d.Action, d.Why = Hold, "its disk was wiped and its install failed: "+m.Reason
	case m.Phase == site.PhaseFailed:
		d.Why = "its install failed before the disk was touched: " + m.Reason
	default:
		d.Why = "planned, but not armed"
	}
	return d
}

func armed(s *site.State, m *site.Machine, now time.Time, d Decision) Decision {
	if !now.Before(m.Arming.Until) {
		d.Why = "its arming ran out at " + m.Arming.Until.UTC().Format(time.RFC3339)
		return d
	}
	name := s.Settings.ImageOf(m.Node)
	image, ok := s.Images.Get(name)
	if !ok {
		d.Action, d.Why = Hold, fmt.Sprintf("armed, but image %s is not in the library", name)
		return d
	}
	d.Action, d.Image, d.Attempt = Install, image, m.Attempt.Number+1
	d.Why = fmt.Sprintf("armed by %s until %s", m.Arming.By, m.Arming.Until.UTC().Format(time.RFC3339))
	return d
}

func running(s *site.State, m *site.Machine, d Decision) Decision {
	image, ok := s.ImageByDigest(m.Attempt.Image)
	switch {
	case install.Finishing(m):
		d.Why = fmt.Sprintf("attempt %d had come to its last stage: its system may be complete, and starts from disk; the installer is not started again", m.Attempt.Number)
	case !ok:
		d.Action, d.Why = Hold, fmt.Sprintf("attempt %d runs, but its image was removed", m.Attempt.Number)
	case !install.MayResume(m):
		d.Action, d.Why = Hold, install.GaveUp(m)
	default:
		d.Action, d.Image = Install, image
		d.Why = fmt.Sprintf("attempt %d is under way", m.Attempt.Number)
	}
	return d
}
