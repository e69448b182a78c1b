package ledger_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
)

// renew fills a log with lease renewals of 16,000 machines, in the way a
// daemon does: in groups, with snapshots.
func renew(tb testing.TB, dir string, events int) {
	tb.Helper()
	log := openBolt(tb, dir)
	l, err := ledger.Open(tb.Context(), log, ledger.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	const group = 1000
	for i := range events / group {
		bodies := make([]site.Body, 0, group)
		for j := range group {
			bodies = append(bodies, lease((i*group+j)%16_000))
		}
		if _, err := l.Do(tb.Context(), give(bodies...)); err != nil {
			tb.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
	if err := log.Close(); err != nil {
		tb.Fatal(err)
	}
}

func openBolt(tb testing.TB, dir string) store.Log {
	tb.Helper()
	log, err := bolt.Open(tb.Context(), dir, bolt.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	return log
}

// TestALongLogIsNotFoldedAgain asserts the work, not the time: opening reads
// one snapshot and the few events after it. BenchmarkOpenMillion has the time.
func TestALongLogIsNotFoldedAgain(t *testing.T) {
	dir := t.TempDir()
	const events = 100_000
	renew(t, dir, events)
	log := &spy{Log: openBolt(t, dir)}
	defer func() { _ = log.Close() }()
	l, err := ledger.Open(t.Context(), log, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.State(); got.Seq != events || got.Leases.Len() != 16_000 {
		t.Errorf("event %d, %d leases", got.Seq, got.Leases.Len())
	}
	if n := log.read.Load(); n > 25_000 {
		t.Errorf("opening folded %d events", n)
	}
}

func BenchmarkOpenMillion(b *testing.B) {
	dir := b.TempDir()
	renew(b, dir, 1_000_000)
	for b.Loop() {
		log := openBolt(b, dir)
		if _, err := ledger.Open(b.Context(), log, ledger.Options{}); err != nil {
			b.Fatal(err)
		}
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
