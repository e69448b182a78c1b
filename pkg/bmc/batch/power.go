package batch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// rest is what is left to do of a power action, when some of it is on record
// as sent and the machine is now found in state. Nothing left is "".
//
// What is on record may not have been sent: the record comes first. So a
// machine is looked at, and only what it can be seen to lack is done.
func rest(action bmc.PowerAction, issued []bmc.PowerAction, state bmc.PowerState) bmc.PowerAction {
	on := state == bmc.PowerOn
	was := func(a bmc.PowerAction) bool { return slices.Contains(issued, a) }
	switch action {
	case bmc.ActionCycle:
		switch {
		case !on && len(issued) > 0:
			return bmc.ActionOn
		case on && (was(bmc.ActionOn) || was(bmc.ActionCycle)):
			return ""
		}
	case bmc.ActionReset:
		switch {
		case !on && len(issued) > 0:
			return bmc.ActionOn
		case on && len(issued) > 0:
			return ""
		}
	}
	return action
}

// Power does a power action and sees it done. What an earlier run of the batch
// sent is not sent again unless the machine shows that it did not happen.
func Power(action bmc.PowerAction) Task { return power(action, bmc.Power) }

// PowerOrder gives the order for a power action and does not look whether it
// was carried out, unless the BMC objects.
func PowerOrder(action bmc.PowerAction) Task {
	t := power(action, bmc.Order)
	t.Name += ", not waited for"
	return t
}

// switching is bmc.Power or bmc.Order.
type switching func(context.Context, bmc.Driver, bmc.PowerAction, bmc.Patience, func(bmc.PowerAction) error) (bmc.PowerState, bmc.Steps, error)

func power(action bmc.PowerAction, how switching) Task {
	t := Task{
		Name: "power " + string(action), Changes: true, Takes: patience(action),
		Energizes: action != bmc.ActionOff && action != bmc.ActionSoft, Disrupts: action != bmc.ActionOn,
	}
	t.Do = func(ctx context.Context, s *Session) (Outcome, error) {
		todo := action
		if len(s.Issued) > 0 {
			state, err := s.settled(ctx)
			if err != nil {
				return Outcome{}, fmt.Errorf("reading the power state: %w", err)
			}
			if todo = rest(action, s.Issued, state); todo == "" {
				return Outcome{Message: fmt.Sprintf("%s; power %s was sent before and is not sent again", state, action), Data: PowerData{Power: state}}, nil
			}
		}
		do := how
		if todo != action {
			do = bmc.Power
		}
		state, steps, err := s.order(ctx, todo, do)
		out := Outcome{Message: string(state), Data: PowerData{Power: state}, Steps: steps}
		switch doubt := steps.Doubt(); {
		case doubt == "" || err != nil:
		case state == bmc.PowerUnknown:
			out.Message, out.Data = doubt, PowerData{Power: state, Note: doubt}
		default:
			out = noted(out, doubt)
		}
		return out, err
	}
	return t
}

// settled is the power state once what was sent last had time to happen: a
// machine that is still on may be on its way down. One that is still off may
// be told on again without harm.
func (s *Session) settled(ctx context.Context) (bmc.PowerState, error) {
	last := s.Issued[len(s.Issued)-1]
	if last != bmc.ActionOff && last != bmc.ActionSoft {
		return s.Power(ctx)
	}
	poll := cmp.Or(s.Patience.Poll, time.Second)
	for waited := time.Duration(0); ; waited += poll {
		state, err := s.Power(ctx)
		if err != nil || state == bmc.PowerOff || waited >= cmp.Or(s.Patience.Settle, 10*time.Second) {
			return state, err
		}
		select {
		case <-ctx.Done():
			return state, ctx.Err()
		case <-time.After(poll):
		}
	}
}

// order has an action done. Whoever cancels a batch does not want machines
// left without power: a cycle that has begun is finished.
func (s *Session) order(ctx context.Context, action bmc.PowerAction, do switching) (bmc.PowerState, bmc.Steps, error) {
	work, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	if end, ok := ctx.Deadline(); ok {
		var late context.CancelFunc
		work, late = context.WithDeadline(work, end)
		defer late()
	}
	hold := context.AfterFunc(ctx, release)
	defer hold()
	begun := false
	return do(work, s.Driver, action, s.Patience, func(a bmc.PowerAction) error {
		if action == bmc.ActionCycle && !begun {
			if !hold() {
				return context.Cause(ctx)
			}
			begun = true
		}
		err := s.before(work, a)
		if a != bmc.ActionOff {
			// Whatever it says before is of the system that ends now.
			s.switched = s.now()
		}
		return err
	})
}

// PowerStatus reads the power state.
func PowerStatus() Task {
	return Task{Name: "power status", Do: func(ctx context.Context, s *Session) (Outcome, error) {
		state, err := s.Power(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("reading the power state: %w", err)
		}
		return Outcome{Message: string(state), Data: PowerData{Power: state}}, nil
	}}
}

// PowerData is the data of the power tasks.
type PowerData struct {
	Power bmc.PowerState `json:"power"`
	Note  string         `json:"note,omitempty"` // what is in doubt, or was seen of the boot
}
