package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// BootGet reads the boot override.
func BootGet() Task {
	return Task{Name: "bootdev get", Do: func(ctx context.Context, s *Session) (Outcome, error) {
		b, err := s.Boot(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("reading the boot device: %w", err)
		}
		return bootOutcome(b, nil), nil
	}}
}

func bootOutcome(b bmc.Boot, steps bmc.Steps) Outcome {
	message := b.String()
	if b.Note != "" {
		message += "; " + b.Note
	}
	return Outcome{Message: message, Data: b, Steps: steps}
}

// BootSet tells a boot device, in one way after the other, until it sticks.
// Where none does, the other protocol is tried if the target leaves open
// which one it is.
func BootSet(want bmc.Boot) Task {
	return Task{Name: "bootdev set " + want.String(), Changes: true, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		got, _, steps, err := s.Tell(ctx, want, nil)
		return bootOutcome(doubted(got, want, err), steps), err
	}}
}

// doubted notes that a BMC says for good where once was asked for: some say
// so and mean once, others mean it.
func doubted(got, want bmc.Boot, err error) bmc.Boot {
	if err == nil && got.Persistent && !want.Persistent && got.Device != bmc.DeviceNone {
		got.Note = "the BMC says for good though once was asked for: look again after the boot, and set none if it is still there"
	}
	return got
}

// MaxCycles bounds how often a machine is power-cycled to prove its boot
// device: the first time, and for two more ways.
const MaxCycles = 3

// DefaultWithin is how long a machine may take from power-on to its first
// sign on the wire: the self-test of a server with much memory takes minutes.
const DefaultWithin = 5 * time.Minute

// BootVerify tells a boot device, power-cycles the machine, and compares what
// it then does on the wire with what it was told. One that does something
// else is told in the next way and cycled again, MaxCycles times in all.
// Within is how long it may take to show itself.
func BootVerify(want bmc.Boot, within time.Duration) Task {
	within = cmp.Or(within, DefaultWithin)
	return Task{
		Name: "bootdev set " + want.String() + ", verified", Changes: true, Energizes: true, Disrupts: true,
		Takes: MaxCycles * (within + patience(bmc.ActionCycle)),
		Do: func(ctx context.Context, s *Session) (Outcome, error) {
			l := loop{s: s, want: want, within: within}
			got, err := l.prove(ctx)
			return bootOutcome(got, l.steps), err
		},
	}
}

// loop is one boot device on its way to a machine: told, read back, compared
// with the wire, told otherwise.
type loop struct {
	s      *Session
	want   bmc.Boot
	within time.Duration

	told   []string // the ways that stuck, the last one last
	cycles int
	seen   string // after the last of them, where it was not as told
	steps  bmc.Steps
}

func (l *loop) step(err error, format string, args ...any) {
	step := bmc.Step{What: fmt.Sprintf(format, args...)}
	if err != nil {
		step.Err = err.Error()
	}
	l.steps = append(l.steps, step)
}

// Tell tells a boot device in the next way that sticks, by the other protocol
// if this one has none left and the target leaves open which it is. told are
// the ways that stuck before and that the machine did not follow, the last one
// last; way is the one that stuck now.
func (s *Session) Tell(ctx context.Context, want bmc.Boot, told []string) (got bmc.Boot, way string, steps bmc.Steps, err error) {
	ways, next := s.Ways(), 0
	for i, w := range ways {
		if slices.Contains(told, w.Name) {
			next = i + 1
		}
	}
	got, used, steps, err := bmc.SetBootFrom(ctx, s.Driver, want, next, s.Patience)
	if err == nil {
		return got, ways[used].Name, steps, nil
	}
	if s.swapped || s.other == nil || !(errors.Is(err, bmc.ErrNotStored) || errors.Is(err, bmc.ErrUnsupported)) {
		return got, "", steps, err
	}
	s.swapped = true
	d, swap := s.other(ctx)
	step := bmc.Step{What: "trying the other protocol"}
	if swap != nil {
		step.Err = swap.Error()
	}
	steps = append(steps, step)
	if swap != nil {
		return got, "", steps, err
	}
	s.Driver = d
	got, way, more, err := s.Tell(ctx, want, told)
	return got, way, append(steps, more...), err
}

// prove goes round until the machine complied, or there is nothing left.
func (l *loop) prove(ctx context.Context) (bmc.Boot, error) {
	if len(l.s.Issued) > 0 {
		return l.afterwards(ctx)
	}
	for {
		got, way, steps, err := l.s.Tell(ctx, l.want, l.told)
		l.steps = append(l.steps, steps...)
		if l.seen != "" && (errors.Is(err, bmc.ErrNotStored) || errors.Is(err, bmc.ErrUnsupported)) {
			err = fmt.Errorf("%s; no other way to tell it is left: %w", l.seen, bmc.ErrElsewhere)
		}
		if err != nil {
			return got, l.because(err)
		}
		l.cycles++
		l.told = append(l.told, way)
		if err := l.s.say(ctx, "told %s by %s; power cycle %d of at most %d to see what it boots", l.want, way, l.cycles, MaxCycles); err != nil {
			return got, err
		}
		_, steps, err = l.s.order(ctx, bmc.ActionCycle, bmc.Power)
		l.steps = append(l.steps, steps...)
		if err != nil {
			return got, err
		}
		verdict, words, err := l.compare(ctx, l.s.switched)
		if err != nil {
			return got, err
		}
		l.step(nil, "%s", words)
		if verdict != bmc.Differed && verdict != bmc.NotSeen {
			return l.tidy(ctx, got, words)
		}
		l.seen = words
		if err := l.s.say(ctx, "%s", words); err != nil {
			return got, err
		}
		if l.cycles == MaxCycles {
			return got, l.because(fmt.Errorf("%s: %w", words, bmc.ErrElsewhere))
		}
	}
}

// because adds to an error what is behind: how often the machine was cycled.
func (l *loop) because(err error) error {
	if l.cycles == 0 {
		return err
	}
	if l.cycles == 1 {
		return fmt.Errorf("after a power cycle: %w", err)
	}
	return fmt.Errorf("after %d power cycles: %w", l.cycles, err)
}

// afterwards is for whoever resumes: what is on record as sent is finished,
// and not begun again.
func (l *loop) afterwards(ctx context.Context) (bmc.Boot, error) {
	since := l.s.now().Add(-l.within)
	out, err := Power(bmc.ActionCycle).Do(ctx, l.s)
	l.steps = append(l.steps, out.Steps...)
	if err != nil {
		return bmc.Boot{}, err
	}
	got, err := l.s.Boot(ctx)
	if err != nil {
		return got, fmt.Errorf("reading the boot device: %w", err)
	}
	verdict, words, err := l.compare(ctx, since)
	if err != nil {
		return got, err
	}
	l.step(nil, "%s", words)
	if verdict == bmc.Differed || verdict == bmc.NotSeen {
		return got, fmt.Errorf("%s; it was cycled before this job was interrupted, and is not cycled again: give the order anew: %w", words, bmc.ErrElsewhere)
	}
	return l.tidy(ctx, got, words)
}

// compare waits for a sign of the machine, and says what it means.
func (l *loop) compare(ctx context.Context, since time.Time) (bmc.Verdict, string, error) {
	if l.s.Around.Boot == nil {
		return l.usedUp(ctx)
	}
	var sign *bmc.Sign
	err := l.wait(ctx, func() (bool, error) {
		seen, ok := l.s.Around.Boot(l.s.Target.Name, since)
		if ok {
			sign = &seen
		}
		return ok, nil
	})
	if err != nil {
		return "", "", fmt.Errorf("waiting for a sign of the machine on the wire: %w", err)
	}
	v := bmc.Compare(l.want.Device, sign)
	return v, v.Words(l.want.Device, sign, l.within), nil
}

// usedUp is all that shows where nobody sees the wire: an override for one
// boot that is gone.
func (l *loop) usedUp(ctx context.Context) (bmc.Verdict, string, error) {
	const blind = "not compared with the wire, which only a daemon sees"
	if l.want.Persistent {
		return bmc.NotRefuted, blind, nil
	}
	gone := false
	err := l.wait(ctx, func() (bool, error) {
		got, err := l.s.Boot(ctx)
		gone = err == nil && got.Device == bmc.DeviceNone
		return gone || err == nil && got.Persistent, err
	})
	switch {
	case err != nil:
		return "", "", fmt.Errorf("reading the boot device: %w", err)
	case gone:
		return bmc.NotRefuted, "the BMC says that the override is used up; " + blind, nil
	default:
		return bmc.NotRefuted, "the BMC still shows the override; " + blind, nil
	}
}

// wait looks again and again while the machine may take its time. That it is
// over is no error.
func (l *loop) wait(ctx context.Context, look func() (bool, error)) error {
	poll := cmp.Or(l.s.Patience.Poll, time.Second)
	for end := l.s.now().Add(l.within); ; {
		done, err := look()
		if done {
			return nil
		}
		if !l.s.now().Before(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}

// tidy takes back what a BMC keeps for all boots though it was for one.
func (l *loop) tidy(ctx context.Context, got bmc.Boot, words string) (bmc.Boot, error) {
	got.Note = words
	if !got.Persistent || l.want.Persistent {
		return got, nil
	}
	note, steps, err := takeBack(ctx, l.s, l.want.Device)
	l.steps = append(l.steps, steps...)
	if err != nil {
		return got, fmt.Errorf("%s, but %w", words, err)
	}
	got.Note += note
	return got, nil
}

// takeBack ends an override that a BMC still has, though it was for one boot:
// by none, or by the disk for good where the BMC knows no none.
func takeBack(ctx context.Context, s *Session, device bmc.Device) (note string, steps bmc.Steps, err error) {
	now, err := s.Boot(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("reading the boot device afterwards: %w", err)
	}
	if now.Device != device {
		return "", nil, nil
	}
	_, steps, err = bmc.SetBootVerified(ctx, s.Driver, bmc.Boot{Device: bmc.DeviceNone}, s.Patience)
	if err == nil {
		return "; the BMC would have kept it for all boots: taken back", steps, nil
	}
	_, more, second := bmc.SetBootVerified(ctx, s.Driver, bmc.Boot{Device: bmc.DeviceDisk, Persistent: true}, s.Patience)
	steps = append(steps, more...)
	if second != nil {
		return "", steps, fmt.Errorf("the BMC keeps it for all boots, and cannot be told otherwise: %w", err)
	}
	return "; the BMC would have kept it for all boots, and takes no none: told the disk for good", steps, nil
}

// PowerVerify does a power action and compares what the machine then does
// with the boot override that its BMC shows. One that does something else is
// told in other ways and cycled again, as BootVerify does.
func PowerVerify(action bmc.PowerAction, within time.Duration) Task {
	within = cmp.Or(within, DefaultWithin)
	t := Power(action)
	plain := t.Do
	t.Name += ", verified"
	t.Takes = MaxCycles * (within + patience(action))
	t.Do = func(ctx context.Context, s *Session) (Outcome, error) {
		told, err := s.Boot(ctx)
		if err != nil && !errors.Is(err, bmc.ErrUnsupported) {
			return Outcome{}, fmt.Errorf("reading the boot device: %w", err)
		}
		out, err := plain(ctx, s)
		if err != nil {
			return out, err
		}
		if s.switched.IsZero() {
			return noted(out, "nothing was switched, so there is nothing to compare"), nil
		}
		if told.Device == "" || told.Device == bmc.DeviceNone {
			return noted(out, "no boot device was told, so there is nothing to compare"), nil
		}
		l := loop{s: s, want: bmc.Boot{Device: told.Device, Persistent: told.Persistent, Mode: told.Mode, URL: told.URL}, within: within, cycles: 1, steps: out.Steps}
		verdict, words, err := l.compare(ctx, s.switched)
		if err != nil {
			return out, err
		}
		l.step(nil, "%s", words)
		if verdict == bmc.Differed || verdict == bmc.NotSeen {
			s.Issued, l.seen = nil, words
			got, err := l.prove(ctx)
			words, out.Steps = got.Note, l.steps
			if err != nil {
				return out, err
			}
		}
		out.Steps = l.steps
		return noted(out, words), nil
	}
	return t
}

// noted adds to the outcome of a power action.
func noted(out Outcome, note string) Outcome {
	data, _ := out.Data.(PowerData)
	data.Note = note
	out.Data = data
	out.Message += "; " + note
	return out
}
