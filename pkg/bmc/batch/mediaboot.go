package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// MediaBoot inserts a medium, boots the machine from it once, and ejects it
// when the machine restarts or goes off, after limit at the latest. In between
// the BMC is left in peace, and is free for other jobs.
func MediaBoot(medium string, limit time.Duration) Task {
	limit = cmp.Or(limit, DefaultMediaLimit)
	return Task{
		Name: "media insert " + medium + ", boot it", Changes: true, Energizes: true, Disrupts: true,
		Course: func(ctx context.Context, v *Visit) (Outcome, error) {
			b := mediaBoot{v: v, medium: medium, limit: limit}
			message, err := b.run(ctx)
			return Outcome{Message: message, Data: MediaData{Media: b.left, Note: message}, Steps: b.steps}, err
		},
	}
}

type mediaBoot struct {
	v      *Visit
	medium string
	limit  time.Duration

	url   string
	since time.Time // the power cycle
	left  bmc.Media
	note  string // what was taken back besides
	steps bmc.Steps
}

func (b *mediaBoot) run(ctx context.Context) (string, error) {
	if err := b.v.Talk(ctx, b.limited(3*patience(bmc.ActionCycle)), b.start); err != nil {
		return "", b.still(err)
	}
	read, err := b.booted(ctx)
	if err != nil {
		return "", b.still(err)
	}
	if err := b.v.run.note(ctx, b.v.Target.Name, fmt.Sprintf("%s; it is ejected when the machine restarts or goes off, after %s at the latest", read, b.limit)); err != nil {
		return "", b.still(err)
	}
	why, err := b.finished(ctx)
	if err != nil {
		return "", b.still(err)
	}
	if err := b.v.Talk(ctx, b.limited(2*time.Minute), b.end); err != nil {
		return "", b.still(err)
	}
	b.steps = append(b.steps, bmc.Step{What: "ejected: " + why})
	return read + "; " + why + ": ejected" + b.note, nil
}

// limited is what a conversation may take; --deadline bounds each.
func (b *mediaBoot) limited(d time.Duration) time.Duration {
	if deadline := b.v.Deadline(); deadline > 0 {
		return min(d, deadline)
	}
	return d
}

// start inserts, tells and cycles. What an earlier run did is not done again.
func (b *mediaBoot) start(ctx context.Context, s *Session) (Outcome, error) {
	out, url, err := insert(ctx, s, b.medium)
	b.url = url
	b.steps = append(b.steps, out.Steps...)
	if err != nil {
		return Outcome{}, err
	}
	b.left = bmc.Media{Inserted: true, URL: url}
	b.since = s.now()
	if len(s.Issued) > 0 {
		b.since = b.since.Add(-DefaultWithin) // the power cycle was before now
	} else {
		_, steps, err := bmc.SetBootVerified(ctx, s.Driver, bmc.Boot{Device: bmc.DeviceCD}, s.Patience)
		b.steps = append(b.steps, steps...)
		if err != nil {
			return Outcome{}, err
		}
		if err := s.say(ctx, "inserted %s, told to boot it once; power cycle", url); err != nil {
			return Outcome{}, err
		}
	}
	cycled, err := Power(bmc.ActionCycle).Do(ctx, s)
	b.steps = append(b.steps, cycled.Steps...)
	return Outcome{}, err
}

// end takes the medium out, and back what the BMC keeps for all boots though
// it was for one.
func (b *mediaBoot) end(ctx context.Context, s *Session) (Outcome, error) {
	if err := s.EjectMedia(ctx); err != nil {
		return Outcome{}, fmt.Errorf("ejecting: %w", err)
	}
	b.left = bmc.Media{}
	note, steps, err := takeBack(ctx, s, bmc.DeviceCD)
	b.note = note
	b.steps = append(b.steps, steps...)
	return Outcome{}, err
}

// still says what is left behind.
func (b *mediaBoot) still(err error) error {
	if !b.left.Inserted {
		return err
	}
	if errors.Is(err, context.Canceled) {
		// Not wrapped: that it was cancelled is not all that there is to say.
		return fmt.Errorf("cancelled; %s is still in the drive: `rackseed media eject` takes it out", b.url)
	}
	return fmt.Errorf("%w; %s is still in the drive: `rackseed media eject` takes it out", err, b.url)
}

// booted waits until the medium is read after the power cycle, which only our
// own server can tell.
func (b *mediaBoot) booted(ctx context.Context) (string, error) {
	const blind = "whether it booted from it is not known: the medium is not on this server"
	o := b.v.run.o
	if o.Around.Fetches == nil {
		return blind, nil
	}
	for end := o.Clock().Add(DefaultWithin); ; {
		clients, ours := o.Around.Fetches(b.url, b.since)
		switch {
		case !ours:
			return blind, nil
		case len(clients) > 0:
			return "after the power cycle " + fetchWords(clients), nil
		case !o.Clock().Before(end):
			return "", fmt.Errorf("nobody read the medium within %s of the power cycle: the machine did not boot from it", DefaultWithin)
		}
		if err := b.pause(ctx, cmp.Or(o.Patience.Poll, time.Second)); err != nil {
			return "", err
		}
	}
}

func (b *mediaBoot) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for the machine: %w", ctx.Err())
	case <-time.After(d):
		return nil
	}
}

// slowest is how far apart the looks at a machine are that runs from a medium.
const slowest = 30 * time.Second

// finished waits until the machine is done with the medium.
func (b *mediaBoot) finished(ctx context.Context) (string, error) {
	o := b.v.run.o
	poll := cmp.Or(o.Patience.Poll, time.Second)
	var first bmc.Mark
	for end := o.Clock().Add(b.limit); ; poll = min(2*poll, slowest) {
		if err := b.pause(ctx, poll); err != nil {
			return "", err
		}
		why := ""
		err := b.v.Talk(ctx, b.limited(time.Minute), func(ctx context.Context, s *Session) (Outcome, error) {
			var err error
			why, err = ended(ctx, s, &first)
			return Outcome{}, err
		})
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case why != "":
			return why, nil
		case errors.Is(err, bmc.ErrLogin), errors.Is(err, bmc.ErrCertificate):
			return "", err
		case !o.Clock().Before(end):
			return fmt.Sprintf("%s have passed", b.limit), nil
		}
	}
}

// ended says why a machine needs its medium no longer. first is its mark of
// the boot from it.
func ended(ctx context.Context, s *Session, first *bmc.Mark) (string, error) {
	state, err := s.Power(ctx)
	if err != nil {
		return "", err
	}
	if state == bmc.PowerOff {
		return "the machine went off", nil
	}
	w, ok := s.Driver.(bmc.Witness)
	if !ok {
		return "", nil
	}
	now, err := w.Mark(ctx)
	switch {
	case err != nil:
		return "", err
	case first.Reset == "":
		*first = now
	case now.Reset != "" && now.Reset != first.Reset:
		return "the machine restarted", nil
	}
	return "", nil
}
