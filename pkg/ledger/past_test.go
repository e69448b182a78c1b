package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/mem"
)

// cut is a log whose oldest records are gone.
type cut struct {
	store.Log
	before uint64
}

func (c cut) Read(ctx context.Context, after uint64, fn func(store.Record) error) error {
	return c.Log.Read(ctx, max(after, c.before), fn)
}

// The state at an event is the one that was in force behind it, whether it is
// folded from the first event or from a snapshot.
func TestStateAt(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	log := mem.New()
	epoch := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	tick := 0
	l, err := ledger.Open(ctx, log, ledger.Options{SnapshotEvery: 7, Clock: func() time.Time { tick++; return epoch.Add(time.Duration(tick) * time.Second) }})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	defer func() { stop(); <-ended }()

	was := []string{text(t, site.NewState())}
	for i := range 20 {
		s, err := l.Do(ctx, func(*site.State, time.Time) ([]site.Body, error) {
			return []site.Body{site.NodePlanned{Node: site.Node{Name: fmt.Sprint("n", i)}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		was = append(was, text(t, s))
	}
	last := epoch
	for seq, want := range was {
		s, at, err := l.StateAt(ctx, uint64(seq))
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, s); got != want {
			t.Errorf("at %d it is\n%s, want\n%s", seq, got, want)
		}
		if seq > 0 && !at.After(last) {
			t.Errorf("event %d was at %s, the one before at %s", seq, at, last)
		}
		last = at
	}
	if _, _, err := l.StateAt(ctx, 21); err == nil || errors.Is(err, ledger.ErrCompacted) {
		t.Errorf("beyond the end: %v", err)
	}
}

func TestStateAtWhatTheLogForgot(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	log := &cut{Log: mem.New()}
	l, err := ledger.Open(ctx, log, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	defer func() { stop(); <-ended }()
	for i := range 9 {
		if _, err := l.Do(ctx, func(*site.State, time.Time) ([]site.Body, error) {
			return []site.Body{site.NodePlanned{Node: site.Node{Name: fmt.Sprint("n", i)}}}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	log.before = 5
	if _, _, err := l.StateAt(ctx, 7); !errors.Is(err, ledger.ErrCompacted) {
		t.Errorf("folding what is gone: %v", err)
	}
}

func text(t *testing.T, s *site.State) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
