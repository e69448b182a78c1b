package batch

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// MediaGet says what is in the virtual drive.
func MediaGet() Task {
	return Task{Name: "media get", Do: func(ctx context.Context, s *Session) (Outcome, error) {
		return drive(ctx, s)
	}}
}

// MediaInsert puts the medium at a URL, or an image of the library, into the
// virtual drive, whatever is in it now, and says whether the BMC came for it.
func MediaInsert(medium string) Task {
	return Task{Name: "media insert " + medium, Changes: true, Takes: 3 * time.Minute, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		out, _, err := insert(ctx, s, medium)
		return out, err
	}}
}

// address is the URL of what is named.
func (s *Session) address(medium string) (string, error) {
	if strings.ContainsAny(medium, ":/") {
		return medium, nil
	}
	if s.Around.Image == nil {
		return "", fmt.Errorf("image %s: a daemon serves the images of the library, and none runs here: start it with `rackseed serve`, or give a URL", medium)
	}
	return s.Around.Image(s.Target, medium)
}

func insert(ctx context.Context, s *Session, medium string) (Outcome, string, error) {
	url, err := s.address(medium)
	if err != nil {
		return Outcome{}, "", err
	}
	var steps bmc.Steps
	before, err := s.Media(ctx)
	if err != nil {
		return Outcome{}, url, fmt.Errorf("looking into the virtual drive: %w", err)
	}
	if before.Inserted && before.URL == url {
		return Outcome{Message: "inserted already", Data: MediaData{Media: before}}, url, nil
	}
	if before.Inserted {
		if err := s.EjectMedia(ctx); err != nil {
			return Outcome{}, url, fmt.Errorf("ejecting %s: %w", before.URL, err)
		}
		steps = append(steps, bmc.Step{What: "ejected " + before.URL})
	}
	since := s.now()
	err = s.InsertMedia(ctx, url)
	came, ours := s.came(ctx, url, since, err == nil)
	if err != nil {
		err = fmt.Errorf("inserting %s: %w", url, err)
		if ours {
			err = fmt.Errorf("%w; %s", err, came)
		}
		return Outcome{Steps: steps}, url, err
	}
	out, err := drive(ctx, s)
	out.Steps = append(steps, bmc.Step{What: "inserted " + url + ", read back: " + out.Message})
	m, _ := out.Data.(MediaData)
	if err == nil && !m.Inserted {
		err = fmt.Errorf("inserting %s: %w", url, bmc.ErrNotStored)
	}
	if ours {
		m.Note = came
		out.Data, out.Message = m, out.Message+"; "+came
	}
	return out, url, err
}

// came says who came for a URL of ours. A BMC may say that a medium is in
// before it has looked at it.
func (s *Session) came(ctx context.Context, url string, since time.Time, wait bool) (words string, ours bool) {
	if s.Around.Fetches == nil {
		return "", false
	}
	poll := cmp.Or(s.Patience.Poll, time.Second)
	for end := s.now().Add(cmp.Or(s.Patience.Settle, 10*time.Second)); ; {
		clients, ours := s.Around.Fetches(url, since)
		if !ours || len(clients) > 0 {
			return fetchWords(clients), ours
		}
		if !wait || !s.now().Before(end) || ctx.Err() != nil {
			return "nobody has come for it yet: either the BMC fetches it when the machine boots, or it does not reach this server", true
		}
		select {
		case <-ctx.Done():
		case <-time.After(poll):
		}
	}
}

func fetchWords(clients []Fetch) string {
	words := make([]string, len(clients))
	for i, c := range clients {
		words[i] = fmt.Sprintf("%s came for it %d times", c.From, c.Times)
		if c.Times == 1 {
			words[i] = c.From + " came for it"
		}
	}
	return strings.Join(words, ", ")
}

// MediaData is the data of the media tasks.
type MediaData struct {
	bmc.Media
	Note string `json:"note,omitempty"` // whether the BMC came for it
}

// DefaultMediaLimit is how long a medium stays in the drive of a machine that
// was booted from it and does not restart.
const DefaultMediaLimit = time.Hour

// MediaBoot inserts a medium, boots the machine from it once, and ejects it
// when the machine restarts or goes off, after limit at the latest.
func MediaBoot(medium string, limit time.Duration) Task {
	limit = cmp.Or(limit, DefaultMediaLimit)
	return Task{
		Name: "media insert " + medium + ", boot it", Changes: true, Energizes: true, Disrupts: true,
		Takes: limit + DefaultWithin + 2*patience(bmc.ActionCycle),
		Do: func(ctx context.Context, s *Session) (Outcome, error) {
			b := mediaBoot{s: s, medium: medium, limit: limit}
			message, err := b.run(ctx)
			return Outcome{Message: message, Data: MediaData{Media: b.left, Note: message}, Steps: b.steps}, err
		},
	}
}

type mediaBoot struct {
	s      *Session
	medium string
	limit  time.Duration

	url   string
	left  bmc.Media
	steps bmc.Steps
}

func (b *mediaBoot) run(ctx context.Context) (string, error) {
	out, url, err := insert(ctx, b.s, b.medium)
	b.url, b.steps = url, out.Steps
	if err != nil {
		return "", err
	}
	b.left = bmc.Media{Inserted: true, URL: url}
	since := b.s.now()
	if len(b.s.Issued) == 0 {
		_, steps, err := bmc.SetBootVerified(ctx, b.s.Driver, bmc.Boot{Device: bmc.DeviceCD}, b.s.Patience)
		b.steps = append(b.steps, steps...)
		if err != nil {
			return "", b.still(err)
		}
		if err := b.s.say(ctx, "inserted %s, told to boot it once; power cycle", url); err != nil {
			return "", b.still(err)
		}
	} else {
		since = since.Add(-DefaultWithin) // it was cycled before this job was interrupted
	}
	cycled, err := Power(bmc.ActionCycle).Do(ctx, b.s)
	b.steps = append(b.steps, cycled.Steps...)
	if err != nil {
		return "", b.still(err)
	}
	read, err := b.booted(ctx, since)
	if err != nil {
		return "", b.still(err)
	}
	if err := b.s.say(ctx, "%s; ejected when it restarts or goes off, after %s at the latest", read, b.limit); err != nil {
		return "", b.still(err)
	}
	why, err := b.finished(ctx)
	if err != nil {
		return "", b.still(err)
	}
	if err := b.s.EjectMedia(ctx); err != nil {
		return "", b.still(fmt.Errorf("ejecting: %w", err))
	}
	b.left = bmc.Media{}
	b.steps = append(b.steps, bmc.Step{What: "ejected, for " + why})
	return read + "; " + why + ": ejected", nil
}

// still says what is left behind.
func (b *mediaBoot) still(err error) error {
	return fmt.Errorf("%w; %s is still in the drive: `rackseed media eject` takes it out", err, b.url)
}

// booted waits until the medium is read after the power cycle, which only our
// own server can tell.
func (b *mediaBoot) booted(ctx context.Context, since time.Time) (string, error) {
	const blind = "whether it booted from it is not known: the medium is not on this server"
	if b.s.Around.Fetches == nil {
		return blind, nil
	}
	poll := cmp.Or(b.s.Patience.Poll, time.Second)
	for end := b.s.now().Add(DefaultWithin); ; {
		clients, ours := b.s.Around.Fetches(b.url, since)
		switch {
		case !ours:
			return blind, nil
		case len(clients) > 0:
			return "after the power cycle " + fetchWords(clients), nil
		case !b.s.now().Before(end):
			return "", fmt.Errorf("nobody read the medium within %s of the power cycle: the machine did not boot from it", DefaultWithin)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("waiting until the medium is read: %w", ctx.Err())
		case <-time.After(poll):
		}
	}
}

// finished waits until the machine is done with the medium.
func (b *mediaBoot) finished(ctx context.Context) (why string, err error) {
	poll := cmp.Or(b.s.Patience.Poll, time.Second)
	var first bmc.Mark
	for end := b.s.now().Add(b.limit); ; poll = min(2*poll, 15*time.Second) {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("waiting until the machine is done with the medium: %w", ctx.Err())
		case <-time.After(poll):
		}
		// A BMC that is away for a moment is asked again.
		state, err := b.s.Power(ctx)
		if err == nil && state == bmc.PowerOff {
			return "the machine went off", nil
		}
		if w, ok := b.s.Driver.(bmc.Witness); ok && err == nil {
			now, err := w.Mark(ctx)
			switch {
			case err == nil && first.Reset == "":
				first = now
			case err == nil && now.Reset != first.Reset && now.Reset != "":
				return "the machine restarted", nil
			}
		}
		if !b.s.now().Before(end) {
			return fmt.Sprintf("%s have passed", b.limit), err
		}
	}
}

// MediaEject empties the virtual drive.
func MediaEject() Task {
	return Task{Name: "media eject", Changes: true, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		before, err := s.Media(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("looking into the virtual drive: %w", err)
		}
		if !before.Inserted {
			return Outcome{Message: "empty already", Data: MediaData{Media: before}}, nil
		}
		if err := s.EjectMedia(ctx); err != nil {
			return Outcome{}, fmt.Errorf("ejecting: %w", err)
		}
		out, err := drive(ctx, s)
		if m, _ := out.Data.(MediaData); err == nil && m.Inserted {
			err = fmt.Errorf("ejecting: %w", bmc.ErrNotStored)
		}
		return out, err
	}}
}

func drive(ctx context.Context, s *Session) (Outcome, error) {
	m, err := s.Media(ctx)
	if err != nil {
		return Outcome{}, fmt.Errorf("looking into the virtual drive: %w", err)
	}
	if !m.Inserted {
		return Outcome{Message: "empty", Data: MediaData{Media: m}}, nil
	}
	return Outcome{Message: "inserted " + m.URL, Data: MediaData{Media: m}}, nil
}

// Inventory asks what the machine is made of.
func Inventory() Task {
	return Task{Name: "inventory", Takes: 4 * time.Minute, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		i, err := s.Inventory(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("reading the inventory: %w", err)
		}
		return Outcome{Message: fmt.Sprintf("%s %s, serial %s", i.Manufacturer, i.Model, i.Serial), Data: i}, nil
	}}
}
