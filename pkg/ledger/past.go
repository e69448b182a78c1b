package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
)

// ErrCompacted means that the log does not reach back to where a state was
// asked for: only the snapshot that was made of it is kept.
var ErrCompacted = errors.New("the log does not reach back that far")

// StateAt folds the log up to an event, and gives the time of that event. A
// sequence beyond the end of the log is an error; zero is the empty site.
func (l *Ledger) StateAt(ctx context.Context, seq uint64) (*site.State, time.Time, error) {
	if last := l.State().Seq; seq > last {
		return nil, time.Time{}, fmt.Errorf("the log ends at event %d: there is no event %d yet", last, seq)
	}
	s, err := l.startBefore(ctx, seq)
	if err != nil {
		return nil, time.Time{}, err
	}
	var at time.Time
	err = l.log.Read(ctx, s.Seq, func(r store.Record) error {
		if r.Seq != s.Seq+1 {
			return fmt.Errorf("%w: it begins with event %d", ErrCompacted, r.Seq)
		}
		if r.Seq > seq {
			return store.ErrStop
		}
		e, err := site.DecodeEvent(r.Seq, r.Data)
		if err != nil {
			return err
		}
		at = e.At
		return s.Apply(e)
	})
	switch {
	case err != nil:
		return nil, at, fmt.Errorf("folding the log up to event %d: %w", seq, err)
	case s.Seq != seq:
		return nil, at, fmt.Errorf("folding the log up to event %d: %w: it ends at event %d", seq, ErrCompacted, s.Seq)
	}
	return s, at, nil
}

// startBefore is the snapshot before an event, if there is one; its own event
// has to be read for its time.
func (l *Ledger) startBefore(ctx context.Context, seq uint64) (*site.State, error) {
	snap, ok, err := l.log.LoadSnapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading a snapshot: %w", err)
	}
	s := site.NewState()
	if !ok || snap.Seq >= seq {
		return s, nil
	}
	return s, s.UnmarshalJSON(snap.Data)
}
