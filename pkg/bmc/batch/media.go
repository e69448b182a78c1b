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
