package ledger

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
)

// chunk bounds how many events are read at once. They are handed on after
// the read has ended: a slow follower must not hold a read transaction open,
// during which the file of the log cannot reuse its pages.
const chunk = 512

// Follow gives every event after since, in order: first those of the log,
// then each as it is committed. It ends with ctx, with the ledger, or with an
// error, which is its last pair.
func (l *Ledger) Follow(ctx context.Context, since uint64) iter.Seq2[site.Event, error] {
	return func(yield func(site.Event, error) bool) {
		for {
			changed := l.Changed()
			events, err := l.read(ctx, since)
			if err != nil {
				yield(site.Event{}, err)
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
				since = e.Seq
			}
			if len(events) == chunk {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			case <-l.stopped:
				return
			}
		}
	}
}

// Events gives at most limit events after since.
func (l *Ledger) Events(ctx context.Context, since uint64, limit int) ([]site.Event, error) {
	var all []site.Event
	for len(all) < limit {
		events, err := l.read(ctx, since)
		if err != nil {
			return nil, err
		}
		if len(events) == 0 {
			break
		}
		all = append(all, events...)
		since = all[len(all)-1].Seq
	}
	return all[:min(len(all), limit)], nil
}

// Changed is closed at the next commit. Whoever waits for a state takes it
// first, looks, and then waits.
func (l *Ledger) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// read gives at most a chunk of events after since: from memory, or from the
// log when they are not the newest.
func (l *Ledger) read(ctx context.Context, since uint64) ([]site.Event, error) {
	if events, ok := l.remembered(since); ok {
		return events, nil
	}
	var events []site.Event
	err := l.log.Read(ctx, since, func(r store.Record) error {
		e, err := site.DecodeEvent(r.Seq, r.Data)
		if err != nil {
			return err
		}
		if events = append(events, e); len(events) == chunk {
			return store.ErrStop
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading events after %d: %w", since, err)
	}
	return events, nil
}

func (l *Ledger) remembered(since uint64) ([]site.Event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.recent) == 0 || since+1 < l.recent[0].Seq {
		return nil, false
	}
	skip := min(since+1-l.recent[0].Seq, uint64(len(l.recent)))
	after := l.recent[skip:]
	return slices.Clip(after[:min(len(after), chunk)]), true
}
