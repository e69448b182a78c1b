// Package mem keeps a store.Log in memory, for tests and the demo. It keeps
// the whole contract except durability, and is as strict with its callers as
// the log on disk: the bytes a Read callback sees are overwritten afterwards.
package mem

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rackseed/rackseed/pkg/store"
)

// Log is an in-memory log. Use New.
type Log struct {
	mu     sync.RWMutex
	recs   [][]byte // the record Seq is recs[Seq-1]; an entry never changes
	snaps  []store.Snapshot
	closed bool
}

var _ store.Log = (*Log)(nil)

// New returns an empty log.
func New() *Log { return &Log{} }

// Append implements store.Log.
func (l *Log) Append(ctx context.Context, guard uint64, recs [][]byte) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, store.ErrClosed
	}
	if last := uint64(len(l.recs)); last != guard {
		return 0, fmt.Errorf("%w: last sequence is %d, guard %d", store.ErrConflict, last, guard)
	}
	for _, r := range recs {
		l.recs = append(l.recs, slices.Clone(r))
	}
	return uint64(len(l.recs)), nil
}

// Read implements store.Log.
func (l *Log) Read(ctx context.Context, after uint64, fn func(store.Record) error) error {
	l.mu.RLock()
	recs, closed := l.recs, l.closed
	l.mu.RUnlock()
	if closed {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var scratch []byte
	for seq := after + 1; seq > after && seq <= uint64(len(recs)); seq++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		scratch = append(scratch[:0], recs[seq-1]...)
		err := fn(store.Record{Seq: seq, Data: scratch})
		clear(scratch)
		if errors.Is(err, store.ErrStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Last implements store.Log.
func (l *Log) Last(ctx context.Context) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return 0, store.ErrClosed
	}
	return uint64(len(l.recs)), ctx.Err()
}

// SaveSnapshot implements store.Log.
func (l *Log) SaveSnapshot(ctx context.Context, s store.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return store.ErrClosed
	}
	last := uint64(len(l.recs))
	var newest uint64
	if n := len(l.snaps); n > 0 {
		newest = l.snaps[n-1].Seq
	}
	if s.Seq > last || s.Seq < newest {
		return fmt.Errorf("%w: %d, with the log at %d and a snapshot at %d", store.ErrSnapshotSeq, s.Seq, last, newest)
	}
	kept := slices.DeleteFunc(slices.Clone(l.snaps), func(k store.Snapshot) bool { return k.Seq == s.Seq })
	kept = append(kept, store.Snapshot{Seq: s.Seq, Data: slices.Clone(s.Data)})
	l.snaps = kept[max(0, len(kept)-2):]
	return nil
}

// LoadSnapshot implements store.Log.
func (l *Log) LoadSnapshot(ctx context.Context) (store.Snapshot, bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return store.Snapshot{}, false, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return store.Snapshot{}, false, err
	}
	if len(l.snaps) == 0 {
		return store.Snapshot{}, false, nil
	}
	s := l.snaps[len(l.snaps)-1]
	s.Data = slices.Clone(s.Data)
	return s, true, nil
}

// Close implements store.Log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.recs, l.snaps = nil, nil
	return nil
}
