package batch

import (
	"context"
	"fmt"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// MediaGet says what is in the virtual drive.
func MediaGet() Task {
	return Task{Name: "media get", Do: func(ctx context.Context, s *Session) (Outcome, error) {
		return drive(ctx, s)
	}}
}

// MediaInsert puts the medium at a URL into the virtual drive, whatever is in
// it now.
func MediaInsert(url string) Task {
	return Task{Name: "media insert " + url, Changes: true, Takes: 3 * time.Minute, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		var steps bmc.Steps
		before, err := s.Media(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("looking into the virtual drive: %w", err)
		}
		if before.Inserted && before.URL == url {
			return Outcome{Message: "inserted already", Data: before}, nil
		}
		if before.Inserted {
			if err := s.EjectMedia(ctx); err != nil {
				return Outcome{}, fmt.Errorf("ejecting %s: %w", before.URL, err)
			}
			steps = append(steps, bmc.Step{What: "ejected " + before.URL})
		}
		if err := s.InsertMedia(ctx, url); err != nil {
			return Outcome{Steps: steps}, fmt.Errorf("inserting %s: %w", url, err)
		}
		out, err := drive(ctx, s)
		out.Steps = append(steps, bmc.Step{What: "inserted " + url + ", read back: " + out.Message})
		if m, _ := out.Data.(bmc.Media); err == nil && !m.Inserted {
			err = fmt.Errorf("inserting %s: %w", url, bmc.ErrNotStored)
		}
		return out, err
	}}
}

// MediaEject empties the virtual drive.
func MediaEject() Task {
	return Task{Name: "media eject", Changes: true, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		before, err := s.Media(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("looking into the virtual drive: %w", err)
		}
		if !before.Inserted {
			return Outcome{Message: "empty already", Data: before}, nil
		}
		if err := s.EjectMedia(ctx); err != nil {
			return Outcome{}, fmt.Errorf("ejecting: %w", err)
		}
		out, err := drive(ctx, s)
		if m, _ := out.Data.(bmc.Media); err == nil && m.Inserted {
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
		return Outcome{Message: "empty", Data: m}, nil
	}
	return Outcome{Message: "inserted " + m.URL, Data: m}, nil
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
