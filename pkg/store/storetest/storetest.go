// Package storetest is the conformance suite of store.Log. Every
// implementation runs it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/store"
)

// Open returns a new, empty log. The suite closes it.
type Open func(t testing.TB) store.Log

// Reopen closes l and opens what it has written again. It is nil for a log
// that does not outlive its Close.
type Reopen func(t testing.TB, l store.Log) store.Log

// Run runs the suite.
func Run(t *testing.T, open Open, reopen Reopen) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, store.Log)
	}{
		{"AppendThenRead", testAppendThenRead},
		{"ReadFromAnywhere", testReadFromAnywhere},
		{"ReadStops", testReadStops},
		{"ReadEndsWhereItBegan", testReadEndsWhereItBegan},
		{"ManyAndLargeRecords", testManyAndLarge},
		{"GuardMustMatch", testGuard},
		{"OneOfManyWritersWins", testConcurrentWriters},
		{"ReadersSeeWholeAppends", testReadersSeeWholeAppends},
		{"CallerMayReuseBuffers", testAliasing},
		{"CancelledContextDoesNothing", testCancelled},
		{"CancelledWhileReading", testCancelledWhileReading},
		{"Snapshots", testSnapshots},
		{"SnapshotsAreOrdered", testSnapshotOrder},
		{"ClosedRefusesEverything", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := open(t)
			t.Cleanup(func() {
				if err := l.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test.run(t, l)
		})
	}
	t.Run("Model", func(t *testing.T) { testModel(t, open, reopen) })
	if reopen != nil {
		t.Run("Reopen", func(t *testing.T) { testReopen(t, open, reopen) })
	}
}

func record(seq int) []byte { return fmt.Appendf(nil, "record %d", seq) }

func records(from, to int) [][]byte {
	var recs [][]byte
	for i := from; i <= to; i++ {
		recs = append(recs, record(i))
	}
	return recs
}

func mustAppend(t testing.TB, l store.Log, guard uint64, recs ...[]byte) {
	t.Helper()
	last, err := l.Append(context.Background(), guard, recs)
	if err != nil {
		t.Fatalf("Append at %d: %v", guard, err)
	}
	if want := guard + uint64(len(recs)); last != want {
		t.Fatalf("Append at %d of %d records = %d, want %d", guard, len(recs), last, want)
	}
}

// entry is a record that outlives its callback.
type entry struct {
	Seq  uint64
	Data string
}

func readAll(t testing.TB, l store.Log, after uint64) []entry {
	t.Helper()
	var got []entry
	err := l.Read(context.Background(), after, func(r store.Record) error {
		got = append(got, entry{r.Seq, string(r.Data)})
		return nil
	})
	if err != nil {
		t.Fatalf("Read after %d: %v", after, err)
	}
	return got
}

func entries(from, to int) []entry {
	var want []entry
	for i := from; i <= to; i++ {
		want = append(want, entry{uint64(i), string(record(i))})
	}
	return want
}

func wantEntries(t testing.TB, got, want []entry) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func wantLast(t testing.TB, l store.Log, want uint64) {
	t.Helper()
	if got, err := l.Last(context.Background()); err != nil || got != want {
		t.Errorf("Last = %d, %v, want %d", got, err, want)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func testAppendThenRead(t *testing.T, l store.Log) {
	wantLast(t, l, 0)
	wantEntries(t, readAll(t, l, 0), nil)
	mustAppend(t, l, 0, records(1, 1)...)
	mustAppend(t, l, 1, records(2, 5)...)
	mustAppend(t, l, 5) // nothing to write
	mustAppend(t, l, 5, []byte{}, nil)
	wantLast(t, l, 7)
	wantEntries(t, readAll(t, l, 0), append(entries(1, 5), entry{6, ""}, entry{7, ""}))
}

func testReadFromAnywhere(t *testing.T, l store.Log) {
	mustAppend(t, l, 0, records(1, 10)...)
	mustAppend(t, l, 10, records(11, 11)...)
	mustAppend(t, l, 11, records(12, 20)...)
	for after := range 20 {
		wantEntries(t, readAll(t, l, uint64(after)), entries(after+1, 20))
	}
	for _, after := range []uint64{20, 21, 1 << 40, 1<<64 - 1} {
		wantEntries(t, readAll(t, l, after), nil)
	}
}

func testReadStops(t *testing.T, l store.Log) {
	mustAppend(t, l, 0, records(1, 10)...)
	broken := errors.New("broken")
	for _, test := range []struct {
		give, want error
	}{
		{store.ErrStop, nil},
		{fmt.Errorf("enough: %w", store.ErrStop), nil},
		{broken, broken},
	} {
		calls := 0
		err := l.Read(context.Background(), 2, func(r store.Record) error {
			if calls++; r.Seq == 5 {
				return test.give
			}
			return nil
		})
		if !errors.Is(err, test.want) || (test.want == nil && err != nil) {
			t.Errorf("fn returned %v: Read = %v, want %v", test.give, err, test.want)
		}
		if calls != 3 {
			t.Errorf("fn was called %d times, want 3", calls)
		}
	}
}

// An Append inside Read must not deadlock, nor make the reading endless.
func testReadEndsWhereItBegan(t *testing.T, l store.Log) {
	mustAppend(t, l, 0, records(1, 3)...)
	calls := 0
	err := l.Read(context.Background(), 0, func(store.Record) error {
		mustAppend(t, l, uint64(3+calls), record(4+calls))
		calls++
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("Read = %v after %d calls, want 3 calls", err, calls)
	}
	wantEntries(t, readAll(t, l, 0), entries(1, 6))
}

func testManyAndLarge(t *testing.T, l store.Log) {
	var want []entry
	for i, size := range []int{0, 1, 4095, 4096, 4097, 1 << 20, 3, 5 << 20} {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(i + j)
		}
		mustAppend(t, l, uint64(i), data)
		want = append(want, entry{uint64(i + 1), string(data)})
	}
	n := len(want)
	for i := n + 1; i <= n+20000; i++ {
		want = append(want, entry{uint64(i), string(record(i))})
	}
	mustAppend(t, l, uint64(n), records(n+1, n+20000)...)
	got := readAll(t, l, 0)
	if len(got) != len(want) {
		t.Fatalf("read %d records, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("record %d differs", i+1)
		}
	}
}

func testGuard(t *testing.T, l store.Log) {
	ctx := context.Background()
	_, err := l.Append(ctx, 1, records(2, 2))
	wantErr(t, "guard beyond the end of an empty log", err, store.ErrConflict)
	mustAppend(t, l, 0, records(1, 3)...)
	for _, guard := range []uint64{0, 2, 4, 1<<64 - 1} {
		_, err := l.Append(ctx, guard, records(4, 4))
		wantErr(t, fmt.Sprintf("guard %d at 3", guard), err, store.ErrConflict)
		_, err = l.Append(ctx, guard, nil)
		wantErr(t, fmt.Sprintf("guard %d at 3, no records", guard), err, store.ErrConflict)
	}
	wantEntries(t, readAll(t, l, 0), entries(1, 3))
	mustAppend(t, l, 3, records(4, 4)...)
}

func testConcurrentWriters(t *testing.T, l store.Log) {
	const writers, each, batch = 8, 25, 3
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			guard := uint64(0)
			for done := 0; done < each; {
				recs := make([][]byte, batch)
				for i := range recs {
					recs[i] = fmt.Appendf(nil, "%d %d %d", w, done, i)
				}
				last, err := l.Append(ctx, guard, recs)
				switch {
				case err == nil && last == guard+batch:
					guard = last
					done++
				case errors.Is(err, store.ErrConflict):
					if guard, err = l.Last(ctx); err != nil {
						t.Errorf("Last: %v", err)
						return
					}
				default:
					t.Errorf("Append at %d = %d, %v", guard, last, err)
					return
				}
			}
		})
	}
	wg.Wait()
	got := readAll(t, l, 0)
	if len(got) != writers*each*batch {
		t.Fatalf("%d records, want %d", len(got), writers*each*batch)
	}
	next := make([]int, writers)
	for i := 0; i < len(got); i += batch {
		var w, done, k int
		if _, err := fmt.Sscan(got[i].Data, &w, &done, &k); err != nil || k != 0 {
			t.Fatalf("record %d = %q: not the first of a batch (%v)", i+1, got[i].Data, err)
		}
		if done != next[w] {
			t.Fatalf("record %d: writer %d wrote %d, want %d", i+1, w, done, next[w])
		}
		next[w]++
		for j := range batch {
			if want := fmt.Sprintf("%d %d %d", w, done, j); got[i+j].Data != want {
				t.Fatalf("record %d = %q, want %q: batches are mixed", i+j+1, got[i+j].Data, want)
			}
		}
	}
}

// A reader beside a writer sees a prefix that ends between two appends.
func testReadersSeeWholeAppends(t *testing.T, l store.Log) {
	const appends, batch = 40, 5
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for over := false; !over; {
				select {
				case <-done:
					over = true
				default:
				}
				if n := len(readAll(t, l, 0)); n%batch != 0 {
					t.Errorf("a reader saw %d records: an append in halves", n)
					return
				}
			}
		})
	}
	for i := range appends {
		mustAppend(t, l, uint64(i*batch), records(i*batch+1, (i+1)*batch)...)
	}
	close(done)
	wg.Wait()
}

func testAliasing(t *testing.T, l store.Log) {
	ctx := context.Background()
	buf := []byte("first")
	recs := [][]byte{buf}
	mustAppend(t, l, 0, recs...)
	copy(buf, "XXXXX")
	recs[0] = nil
	wantEntries(t, readAll(t, l, 0), []entry{{1, "first"}})

	data := []byte("state")
	if err := l.SaveSnapshot(ctx, store.Snapshot{Seq: 1, Data: data}); err != nil {
		t.Fatal(err)
	}
	copy(data, "XXXXX")
	for range 2 {
		s, ok, err := l.LoadSnapshot(ctx)
		if err != nil || !ok || string(s.Data) != "state" {
			t.Fatalf("LoadSnapshot = %q, %v, %v", s.Data, ok, err)
		}
		copy(s.Data, "YYYYY") // the loaded bytes are the caller's
	}
}

func testCancelled(t *testing.T, l store.Log) {
	mustAppend(t, l, 0, records(1, 1)...)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := l.Append(ctx, 1, records(2, 2))
	wantErr(t, "Append", err, context.Canceled)
	_, err = l.Last(ctx)
	wantErr(t, "Last", err, context.Canceled)
	wantErr(t, "Read", l.Read(ctx, 0, func(store.Record) error {
		t.Error("fn was called")
		return nil
	}), context.Canceled)
	wantErr(t, "SaveSnapshot", l.SaveSnapshot(ctx, store.Snapshot{Seq: 1}), context.Canceled)
	_, _, err = l.LoadSnapshot(ctx)
	wantErr(t, "LoadSnapshot", err, context.Canceled)
	wantLast(t, l, 1)
	if _, ok, err := l.LoadSnapshot(context.Background()); ok || err != nil {
		t.Errorf("LoadSnapshot = %v, %v, want none", ok, err)
	}
}

func testCancelledWhileReading(t *testing.T, l store.Log) {
	mustAppend(t, l, 0, records(1, 10)...)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	calls := 0
	err := l.Read(ctx, 0, func(store.Record) error {
		calls++
		cancel()
		return nil
	})
	wantErr(t, "Read", err, context.Canceled)
	if calls != 1 {
		t.Errorf("fn was called %d times, want once", calls)
	}
}

func testClosed(t *testing.T, l store.Log) {
	ctx := context.Background()
	mustAppend(t, l, 0, records(1, 1)...)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	_, err := l.Append(ctx, 1, records(2, 2))
	wantErr(t, "Append", err, store.ErrClosed)
	_, err = l.Append(ctx, 0, nil)
	wantErr(t, "Append of nothing", err, store.ErrClosed)
	_, err = l.Last(ctx)
	wantErr(t, "Last", err, store.ErrClosed)
	wantErr(t, "Read", l.Read(ctx, 0, func(store.Record) error { return nil }), store.ErrClosed)
	wantErr(t, "SaveSnapshot", l.SaveSnapshot(ctx, store.Snapshot{Seq: 1}), store.ErrClosed)
	_, _, err = l.LoadSnapshot(ctx)
	wantErr(t, "LoadSnapshot", err, store.ErrClosed)
}
