package batch

import (
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
		case on && was(bmc.ActionOn):
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

// Power does a power action. What an earlier run of the batch sent is not
// sent again unless the machine shows that it did not happen.
func Power(action bmc.PowerAction) Task {
	t := Task{Name: "power " + string(action), Changes: true, Takes: patience(action), Energizes: action != bmc.ActionOff && action != bmc.ActionSoft}
	t.Do = func(ctx context.Context, s *Session) (Outcome, error) {
		todo := action
		if len(s.Issued) > 0 {
			state, err := s.Power(ctx)
			if err != nil {
				return Outcome{}, fmt.Errorf("reading the power state: %w", err)
			}
			if todo = rest(action, s.Issued, state); todo == "" {
				return Outcome{Message: fmt.Sprintf("%s; power %s was sent before and is not sent again", state, action), Data: PowerData{Power: state}}, nil
			}
		}
		state, steps, err := s.order(ctx, todo)
		if err != nil && ctx.Err() != nil && todo == bmc.ActionCycle && s.halfway {
			// Whoever cancels a batch does not want machines left without power.
			finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
			defer cancel()
			var more bmc.Steps
			state, more, err = s.order(finishing, bmc.ActionOn)
			steps = append(steps, more...)
		}
		return Outcome{Message: string(state), Data: PowerData{Power: state}, Steps: steps}, err
	}
	return t
}

// finish is how long a cancelled cycle may take to switch the machine on
// again.
const finish = time.Minute

func (s *Session) order(ctx context.Context, action bmc.PowerAction) (bmc.PowerState, bmc.Steps, error) {
	return bmc.Power(ctx, s.Driver, action, s.Patience, func(a bmc.PowerAction) error {
		if err := s.before(ctx, a); err != nil {
			return err
		}
		s.halfway = a == bmc.ActionOff
		return nil
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
}
