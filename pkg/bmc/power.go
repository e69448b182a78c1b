package bmc

import (
	"context"
	"errors"
	"fmt"
)

// Mark is what shows that a machine has restarted: after a restart it is
// another one. The zero value is of a BMC that shows nothing of the kind.
type Mark struct {
	Reset    string // when the BMC says that it was last reset
	Progress string // how far the firmware is, and since when
}

// Witness is a Driver whose BMC may tell that the machine has restarted.
type Witness interface {
	Mark(ctx context.Context) (Mark, error)
}

// Power does an action and waits until the chassis shows it. What needs
// nothing done is not done: on for a machine that is on. A cycle is ordered
// unseen, and a machine that was off is on after it.
//
// before is called when the BMC is about to be told, so that a durable record
// can be made: whoever resumes after it must look first.
func Power(ctx context.Context, d Driver, action PowerAction, p Patience, before func(PowerAction) error) (PowerState, Steps, error) {
	r := powerRun{d: d, patience: p.withDefaults(), before: before}
	if action == ActionCycle {
		state, err := r.cycle(ctx)
		return state, r.steps, err
	}
	state, err := d.Power(ctx)
	if err != nil {
		return PowerUnknown, r.steps, fmt.Errorf("reading the power state: %w", err)
	}
	r.steps.add(nil, "it is %s", state)
	switch {
	case action == ActionOn && state == PowerOn, (action == ActionOff || action == ActionSoft) && state == PowerOff:
		return state, r.steps, nil
	case action == ActionReset && state == PowerOff:
		state, err = r.do(ctx, ActionOn)
	default:
		state, err = r.do(ctx, action)
	}
	return state, r.steps, err
}

// Order gives an order and does not look whether it was carried out: the
// state is unknown, and the steps say that it is in doubt. Only where the BMC
// objects, as to the cycle of a machine that is off (IPMI 2.0 table 28-4,
// completion code D5h), or where it knows no cycle, it is Power.
func Order(ctx context.Context, d Driver, action PowerAction, p Patience, before func(PowerAction) error) (PowerState, Steps, error) {
	r := powerRun{d: d, patience: p.withDefaults(), before: before}
	if err := r.record(action); err != nil {
		return PowerUnknown, nil, err
	}
	err := d.SetPower(ctx, action)
	switch {
	case err == nil:
		return PowerUnknown, Steps{{What: "power " + string(action) + " accepted, not looked at", Doubt: true}}, nil
	case !objects(err):
		r.steps.add(err, "power %s", action)
		return PowerUnknown, r.steps, fmt.Errorf("power %s: %w", action, err)
	}
	r.steps.add(err, "power %s", action)
	state, steps, err := Power(ctx, d, action, p, before)
	return state, append(r.steps, steps...), err
}

// objects reports whether a BMC that was reached did not do what it was told.
func objects(err error) bool {
	for _, e := range []error{ErrUnreachable, ErrLogin, ErrCertificate, ErrBusy, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return false
		}
	}
	return err != nil
}

type powerRun struct {
	d        Driver
	patience Patience
	before   func(PowerAction) error
	steps    Steps
}

func (r *powerRun) record(action PowerAction) error {
	if r.before == nil {
		return nil
	}
	if err := r.before(action); err != nil {
		return fmt.Errorf("recording power %s: %w", action, err)
	}
	return nil
}

// cycle is off and on as two orders: the machine is known to have been off,
// which few BMCs show of a cycle of theirs. What is off already is told so
// again, which costs less than to ask every machine first.
func (r *powerRun) cycle(ctx context.Context) (PowerState, error) {
	state, err := r.do(ctx, ActionOff)
	if err != nil {
		return state, err
	}
	return r.do(ctx, ActionOn)
}

func (r *powerRun) do(ctx context.Context, action PowerAction) (PowerState, error) {
	mark := r.mark(ctx, action)
	if err := r.record(action); err != nil {
		return PowerUnknown, err
	}
	err := r.d.SetPower(ctx, action)
	if action == ActionOff && objects(err) {
		// It may object to switching off what is off.
		if state, look := r.d.Power(ctx); look == nil && state == PowerOff {
			r.steps.add(nil, "power off refused, and it is off")
			return state, nil
		}
	}
	if errors.Is(err, ErrUnreachable) && mark != (Mark{}) {
		// The answer was lost. Whether the order was, the mark will show.
		r.steps.add(err, "power %s", action)
		return r.restarted(ctx, mark)
	}
	if err != nil {
		r.steps.add(err, "power %s", action)
		return PowerUnknown, fmt.Errorf("power %s: %w", action, err)
	}
	if action == ActionReset {
		return r.restarted(ctx, mark)
	}
	want, limit := PowerOn, r.patience.Power
	switch action {
	case ActionOff:
		want = PowerOff
	case ActionSoft:
		want, limit = PowerOff, r.patience.Soft
	}
	var state PowerState
	err = until(ctx, limit, r.patience.Poll, func() (bool, error) {
		var err error
		state, err = r.d.Power(ctx)
		return err == nil && state == want, err
	})
	if errors.Is(err, errTooLong) {
		err = fmt.Errorf("after power %s the BMC still says %s: %w", action, state, errNotDone)
		if action == ActionSoft {
			err = fmt.Errorf("the system did not shut down within %s: use power off, or look at its console", limit)
		}
	}
	r.steps.add(err, "power %s, read back: %s", action, state)
	return state, err
}

// mark is taken before a reset only: whatever else is done shows in the power
// state. A BMC that cannot tell it is none that tells.
func (r *powerRun) mark(ctx context.Context, action PowerAction) Mark {
	w, ok := r.d.(Witness)
	if !ok || action != ActionReset {
		return Mark{}
	}
	m, err := w.Mark(ctx)
	if err != nil {
		return Mark{}
	}
	return m
}

// notDone is ErrNotStored, in the words of an order.
type notDone struct{}

func (notDone) Error() string        { return "the BMC accepted the order and did not carry it out" }
func (notDone) Is(target error) bool { return target == ErrNotStored }

var errNotDone = notDone{}

// looks are how often a BMC without a mark is asked for its power state after
// a reset: one that is caught off has done it.
const looks = 3

// restarted waits for a sign that a machine, which was on and is on again, was
// reset in between.
func (r *powerRun) restarted(ctx context.Context, before Mark) (PowerState, error) {
	limit := r.patience.Power
	if before == (Mark{}) {
		limit = min(limit, looks*r.patience.Poll)
	}
	var state PowerState
	sign := ""
	err := until(ctx, limit, r.patience.Poll, func() (bool, error) {
		var err error
		if state, err = r.d.Power(ctx); err != nil {
			return false, err
		}
		if state != PowerOn {
			sign = "it was seen to be " + string(state)
		}
		if sign == "" && before != (Mark{}) {
			now, err := r.d.(Witness).Mark(ctx)
			if err != nil {
				return false, err
			}
			sign = before.sign(now)
		}
		return state == PowerOn && sign != "", nil
	})
	switch {
	case errors.Is(err, errTooLong) && state != PowerOn:
		err = fmt.Errorf("after power reset the BMC says %s: %w", state, errNotDone)
	case errors.Is(err, errTooLong) && before != (Mark{}):
		err = fmt.Errorf("the BMC was told to reset and shows no reset: %s: %w", before, errNotDone)
	case errors.Is(err, errTooLong):
		r.steps = append(r.steps, Step{What: "reset accepted, not proved: this BMC shows no sign of a reset", Doubt: true})
		return state, nil
	}
	r.steps.add(err, "power reset, read back: %s, %s", state, sign)
	return state, err
}

// sign says in what the mark has changed; empty is in nothing.
func (m Mark) sign(now Mark) string {
	switch {
	case now.Reset != "" && now.Reset != m.Reset:
		return "last reset " + now.Reset
	case now.Progress != "" && now.Progress != m.Progress:
		return "firmware is at " + now.Progress
	default:
		return ""
	}
}

func (m Mark) String() string {
	switch {
	case m.Reset != "":
		return "its last reset is still that of " + m.Reset
	default:
		return "its firmware is still at " + m.Progress
	}
}
