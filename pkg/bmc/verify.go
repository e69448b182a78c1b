package bmc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Patience is how long a BMC may take to show what it was told.
type Patience struct {
	Settle time.Duration // for a setting; zero means 10 s
	Power  time.Duration // for the chassis; zero means 60 s
	Soft   time.Duration // for a system that shuts down; zero means 5 min
	Poll   time.Duration // between two looks; zero means 1 s
}

func (p Patience) withDefaults() Patience {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&p.Settle, 10*time.Second)
	set(&p.Power, time.Minute)
	set(&p.Soft, 5*time.Minute)
	set(&p.Poll, time.Second)
	return p
}

// Step is one thing that was tried, in words for people.
type Step struct {
	What  string `json:"what"`
	Err   string `json:"error,omitempty"`
	Doubt bool   `json:"doubt,omitempty"` // it was accepted, and nothing shows that it was done
}

// Steps is what was tried, in order.
type Steps []Step

func (s *Steps) add(err error, format string, args ...any) {
	step := Step{What: fmt.Sprintf(format, args...)}
	if err != nil {
		step.Err = err.Error()
	}
	*s = append(*s, step)
}

// Doubt is what was accepted and not proved, in words; empty is nothing.
func (s Steps) Doubt() string {
	for _, step := range slices.Backward(s) {
		if step.Doubt {
			return step.What
		}
	}
	return ""
}

func (s Steps) String() string {
	parts := make([]string, len(s))
	for i, step := range s {
		parts[i] = step.What
		if step.Err != "" {
			parts[i] += ": " + step.Err
		}
	}
	return strings.Join(parts, "; ")
}

// SetBootVerified tells the BMC a boot device and reads it back, in one way
// after the other until it sticks. The error wraps ErrNotStored if none did.
func SetBootVerified(ctx context.Context, d Driver, want Boot, p Patience) (Boot, Steps, error) {
	got, _, steps, err := SetBootFrom(ctx, d, want, 0, p)
	return got, steps, err
}

// SetBootFrom is SetBootVerified without the first ways. used is the index of
// the way that stuck: a machine that did something else all the same is told
// from the next one on.
func SetBootFrom(ctx context.Context, d Driver, want Boot, from int, p Patience) (got Boot, used int, steps Steps, err error) {
	p = p.withDefaults()
	var last error
	ways := d.Ways()
	for i := from; i < len(ways); i++ {
		got, err := setBoot(ctx, d, want, ways[i], p)
		steps.add(err, "%s, read back: %s", ways[i].Name, got)
		if err == nil {
			return got, i, steps, nil
		}
		if last == nil || tells(err) > tells(last) || tells(err) == 2 {
			last = err
		}
		if ctx.Err() != nil || errors.Is(err, ErrLogin) || errors.Is(err, ErrUnreachable) || errors.Is(err, ErrCertificate) {
			return got, i, steps, err
		}
	}
	if last == nil {
		last = fmt.Errorf("setting the boot device: %w", ErrUnsupported)
	}
	return Boot{}, len(ways), steps, last
}

// NotMeant is the error of a way that is not for the wish at all.
type NotMeant struct {
	Way    string
	Reason string
}

func (e NotMeant) Error() string { return e.Way + " does not apply, " + e.Reason }

// Unwrap is ErrUnsupported.
func (e NotMeant) Unwrap() error { return ErrUnsupported }

// tells is how much the failure of a way says of the BMC: that a way was not
// meant says nothing, that the BMC has no such thing says less than that it
// accepted it and did nothing.
func tells(err error) int {
	switch {
	case errors.As(err, &NotMeant{}):
		return 0
	case errors.Is(err, ErrUnsupported):
		return 1
	}
	return 2
}

func setBoot(ctx context.Context, d Driver, want Boot, way Way, p Patience) (Boot, error) {
	if err := d.SetBoot(ctx, want, way); err != nil {
		return Boot{}, fmt.Errorf("setting the boot device: %w", err)
	}
	var got Boot
	err := until(ctx, p.Settle, p.Poll, func() (bool, error) {
		var err error
		got, err = d.Boot(ctx)
		return err == nil && want.KeptAs(got), err
	})
	switch {
	case err == nil:
		return got, nil
	case errors.Is(err, errTooLong) && want.Device == DeviceNone:
		// Emulators of virtual machines have one device for good, always.
		return got, fmt.Errorf("wanted no override, it says %s; where there is always one, set disk: %w", got, ErrNotStored)
	case errors.Is(err, errTooLong):
		return got, fmt.Errorf("wanted %s, it says %s: %w", want, got, ErrNotStored)
	default:
		return got, fmt.Errorf("reading the boot device back: %w", err)
	}
}

// KeptAs reports whether a BMC that says got keeps b. Some BMCs say
// Continuous for an override that is for one boot, which is told apart only
// by what the machine does next. Most do not show the URL.
func (b Boot) KeptAs(got Boot) bool {
	if b.Device == DeviceNone {
		return got.Device == DeviceNone
	}
	return got.Device == b.Device && (!b.Persistent || got.Persistent) && (b.Mode == ModeKeep || got.Mode == ModeKeep || got.Mode == b.Mode) &&
		(b.URL == "" || got.URL == "" || got.URL == b.URL)
}

// String says it for people: pxe once (uefi).
func (b Boot) String() string {
	if b.Device == "" || b.Device == DeviceNone {
		return "no override"
	}
	text := string(b.Device) + " once"
	if b.Persistent {
		text = string(b.Device) + " persistently"
	}
	if b.Mode != ModeKeep {
		text += " (" + string(b.Mode) + ")"
	}
	return text
}

var errTooLong = errors.New("it took too long")

// until asks again and again, soon at first and then every poll, and gives up
// after limit with errTooLong, or with the error of the last look if that
// failed.
func until(ctx context.Context, limit, poll time.Duration, look func() (bool, error)) error {
	end := time.Now().Add(limit)
	for wait := poll / 16; ; wait = min(2*wait, poll) {
		done, err := look()
		switch {
		case done:
			return nil
		case errors.Is(err, ErrUnsupported) || errors.Is(err, ErrLogin) || errors.Is(err, ErrCertificate):
			return err
		case !time.Now().Before(end) && err != nil:
			return err
		case !time.Now().Before(end):
			return errTooLong
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}
