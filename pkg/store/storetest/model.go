package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/store"
)

// model is the log as two slices.
type model struct {
	recs  [][]byte
	snaps []store.Snapshot
}

// testModel runs random operations against the log and the model.
func testModel(t *testing.T, open Open, reopen Reopen) {
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		l := open(t)
		defer func() {
			if err := l.Close(); err != nil {
				rt.Errorf("Close: %v", err)
			}
		}()
		m := &model{}
		data := rapid.SliceOfN(rapid.Byte(), 0, 300)
		actions := map[string]func(*rapid.T){
			"": func(rt *rapid.T) { m.check(ctx, rt, l) },
			"append": func(rt *rapid.T) {
				m.append(ctx, rt, l, rapid.SliceOfN(data, 0, 40).Draw(rt, "recs"))
			},
			"appendLarge": func(rt *rapid.T) {
				size := rapid.IntRange(1000, 40000).Draw(rt, "size")
				m.append(ctx, rt, l, [][]byte{bytes.Repeat([]byte{7}, size)})
			},
			"conflict": func(rt *rapid.T) {
				guard := rapid.Uint64Range(0, uint64(len(m.recs))+2).Draw(rt, "guard")
				if guard == uint64(len(m.recs)) {
					return
				}
				if _, err := l.Append(ctx, guard, [][]byte{{1}}); !errors.Is(err, store.ErrConflict) {
					rt.Fatalf("Append with guard %d at %d: %v", guard, len(m.recs), err)
				}
			},
			"snapshot": func(rt *rapid.T) {
				seq := rapid.Uint64Range(0, uint64(len(m.recs))+1).Draw(rt, "seq")
				m.snapshot(ctx, rt, l, seq, data.Draw(rt, "data"))
			},
			"readFrom": func(rt *rapid.T) {
				m.read(ctx, rt, l, rapid.Uint64Range(0, uint64(len(m.recs))+1).Draw(rt, "after"))
			},
		}
		if reopen != nil {
			actions["reopen"] = func(rt *rapid.T) { l = reopen(t, l) }
		}
		rt.Repeat(actions)
		m.read(ctx, rt, l, 0)
	})
}

func (m *model) append(ctx context.Context, rt *rapid.T, l store.Log, recs [][]byte) {
	last, err := l.Append(ctx, uint64(len(m.recs)), recs)
	m.recs = append(m.recs, recs...)
	if err != nil || last != uint64(len(m.recs)) {
		rt.Fatalf("Append = %d, %v, want %d", last, err, len(m.recs))
	}
}

func (m *model) snapshot(ctx context.Context, rt *rapid.T, l store.Log, seq uint64, data []byte) {
	err := l.SaveSnapshot(ctx, store.Snapshot{Seq: seq, Data: data})
	n := len(m.snaps)
	if seq > uint64(len(m.recs)) || n > 0 && seq < m.snaps[n-1].Seq {
		if !errors.Is(err, store.ErrSnapshotSeq) {
			rt.Fatalf("SaveSnapshot at %d of %d: %v", seq, len(m.recs), err)
		}
		return
	}
	if err != nil {
		rt.Fatalf("SaveSnapshot at %d: %v", seq, err)
	}
	m.snaps = append(m.snaps, store.Snapshot{Seq: seq, Data: data})
}

func (m *model) check(ctx context.Context, rt *rapid.T, l store.Log) {
	if last, err := l.Last(ctx); err != nil || last != uint64(len(m.recs)) {
		rt.Fatalf("Last = %d, %v, want %d", last, err, len(m.recs))
	}
	s, ok, err := l.LoadSnapshot(ctx)
	if err != nil || s.Skipped != nil || ok != (len(m.snaps) > 0) {
		rt.Fatalf("LoadSnapshot = %v, %v, skipped %v; saved %d", ok, err, s.Skipped, len(m.snaps))
	}
	if !ok {
		return
	}
	if want := m.snaps[len(m.snaps)-1]; s.Seq != want.Seq || !bytes.Equal(s.Data, want.Data) {
		rt.Fatalf("LoadSnapshot = %d bytes at %d, want %d at %d", len(s.Data), s.Seq, len(want.Data), want.Seq)
	}
}

func (m *model) read(ctx context.Context, rt *rapid.T, l store.Log, after uint64) {
	next := after + 1
	err := l.Read(ctx, after, func(r store.Record) error {
		if r.Seq != next || r.Seq > uint64(len(m.recs)) || !bytes.Equal(r.Data, m.recs[r.Seq-1]) {
			rt.Fatalf("Read after %d: record %d is not what was appended as %d", after, r.Seq, next)
		}
		next++
		return nil
	})
	if want := max(after, uint64(len(m.recs))) + 1; err != nil || next != want {
		rt.Fatalf("Read after %d ended before %d, want %d: %v", after, next, want, err)
	}
}
