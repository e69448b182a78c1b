package storetest

import (
	"bytes"
	"context"
	"testing"

	"github.com/rackseed/rackseed/pkg/store"
)

func mustSave(t testing.TB, l store.Log, seq uint64, data []byte) {
	t.Helper()
	if err := l.SaveSnapshot(context.Background(), store.Snapshot{Seq: seq, Data: data}); err != nil {
		t.Fatalf("SaveSnapshot at %d: %v", seq, err)
	}
}

func wantSnapshot(t testing.TB, l store.Log, seq uint64, data []byte) {
	t.Helper()
	s, ok, err := l.LoadSnapshot(context.Background())
	if err != nil || !ok || s.Skipped != nil {
		t.Fatalf("LoadSnapshot = %v, %v, skipped %v; want one at %d", ok, err, s.Skipped, seq)
	}
	if s.Seq != seq || !bytes.Equal(s.Data, data) {
		t.Fatalf("LoadSnapshot = %d bytes at %d, want %d bytes at %d", len(s.Data), s.Seq, len(data), seq)
	}
}

func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return data
}

func testSnapshots(t *testing.T, l store.Log) {
	if s, ok, err := l.LoadSnapshot(context.Background()); ok || err != nil || s.Skipped != nil {
		t.Fatalf("LoadSnapshot of a new log = %v, %v, skipped %v", ok, err, s.Skipped)
	}
	mustSave(t, l, 0, []byte("empty state"))
	wantSnapshot(t, l, 0, []byte("empty state"))
	mustAppend(t, l, 0, records(1, 10)...)
	for i, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 3<<20 + 17, 5} {
		data := pattern(size)
		mustSave(t, l, uint64(i+1), data)
		wantSnapshot(t, l, uint64(i+1), data)
	}
	mustSave(t, l, 8, []byte("again"))
	wantSnapshot(t, l, 8, []byte("again"))
	wantEntries(t, readAll(t, l, 0), entries(1, 10))
	mustAppend(t, l, 10, records(11, 11)...)
}

func testSnapshotOrder(t *testing.T, l store.Log) {
	ctx := context.Background()
	mustAppend(t, l, 0, records(1, 5)...)
	mustSave(t, l, 3, []byte("three"))
	for _, seq := range []uint64{0, 2, 6, 1<<64 - 1} {
		wantErr(t, "SaveSnapshot", l.SaveSnapshot(ctx, store.Snapshot{Seq: seq}), store.ErrSnapshotSeq)
	}
	wantSnapshot(t, l, 3, []byte("three"))
	mustSave(t, l, 5, []byte("five"))
	wantSnapshot(t, l, 5, []byte("five"))
}

// testReopen: what was acknowledged is there after Close and open.
func testReopen(t *testing.T, open Open, reopen Reopen) {
	l := open(t)
	t.Cleanup(func() { _ = l.Close() })
	mustAppend(t, l, 0, records(1, 100)...)
	mustSave(t, l, 50, pattern(200<<10))
	l = reopen(t, l)
	wantLast(t, l, 100)
	wantEntries(t, readAll(t, l, 0), entries(1, 100))
	wantSnapshot(t, l, 50, pattern(200<<10))
	mustAppend(t, l, 100, records(101, 103)...)
	l = reopen(t, l)
	l = reopen(t, l)
	wantEntries(t, readAll(t, l, 99), entries(100, 103))
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
