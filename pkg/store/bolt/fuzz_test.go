package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
)

// FuzzOpenDamaged overwrites a part of a good file, or cuts it. Whatever is
// left is refused with a reason, or every record that it returns is right. It
// never crashes, even where the inspection had no time to look.
func FuzzOpenDamaged(f *testing.F) {
	clean, crashed := image(f, true), image(f, false)
	f.Add(uint32(0), []byte{}, uint32(0), byte(0))
	f.Add(uint32(16+16), []byte{0xFF, 0xFF, 0xFF, 0x7F}, uint32(0), byte(1))
	f.Add(uint32(3*pageSize+8), []byte{1, 0, 0xFF, 0xFF, 0xFF, 0xFF}, uint32(0), byte(2))
	f.Add(uint32(9*pageSize+16), bytes.Repeat([]byte{0xFE}, 64), uint32(0), byte(4))
	f.Add(uint32(0), []byte{}, uint32(pageSize), byte(1))
	for page := range len(clean) / pageSize {
		f.Add(uint32(page*pageSize+8), []byte{0x10, 0, 0xFF, 0xFF, 0xFF}, uint32(0), byte(page))
		f.Add(uint32(page*pageSize+16), []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, uint32(0), byte(page|4))
	}
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, cut uint32, how byte) {
		data := bytes.Clone(clean)
		if how&1 != 0 {
			data = bytes.Clone(crashed)
		}
		copy(data[int(at)%len(data):], patch)
		if how&2 != 0 {
			reseal(data)
		}
		data = data[:len(data)-int(cut)%len(data)]
		dir, _ := putFile(t, data)
		defer func() { _ = os.RemoveAll(dir) }()
		o := quiet
		if how&4 != 0 {
			o.CheckTime = 1
		}
		s, err := bolt.Open(context.Background(), dir, o)
		if err != nil {
			wantKnownError(t, "Open", err)
			return
		}
		last, err := readAndVerify(s)
		wantKnownError(t, "Read", err)
		_, _, err = s.LoadSnapshot(context.Background())
		wantKnownError(t, "LoadSnapshot", err)
		if _, err = s.Append(context.Background(), last, payloads(last+1, last+3)); !errors.Is(err, store.ErrConflict) {
			wantKnownError(t, "Append", err)
		}
		if err := s.SaveSnapshot(context.Background(), store.Snapshot{Seq: last}); !errors.Is(err, store.ErrSnapshotSeq) {
			wantKnownError(t, "SaveSnapshot", err)
		}
		wantKnownError(t, "Close", s.Close())
	})
}

func wantKnownError(t *testing.T, what string, err error) {
	t.Helper()
	var damaged *store.CorruptError
	var foreign *store.ForeignError
	if err != nil && !errors.As(err, &damaged) && !errors.As(err, &foreign) {
		t.Errorf("%s: %v, want a CorruptError, a ForeignError or none", what, err)
	}
}
