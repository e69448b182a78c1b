package bolt_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
)

// Records of about the size of a lease event.
var benchRecord = bytes.Repeat([]byte("lease event "), 17)[:200]

func benchBatch(n int) [][]byte {
	recs := make([][]byte, n)
	for i := range recs {
		recs[i] = benchRecord
	}
	return recs
}

func fill(b *testing.B, s *bolt.Store, n, perCommit int) uint64 {
	b.Helper()
	recs := benchBatch(perCommit)
	var last uint64
	for last < uint64(n) {
		var err error
		if last, err = s.Append(context.Background(), last, recs); err != nil {
			b.Fatal(err)
		}
	}
	return last
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 32, 256, 4096} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			s := open(b, b.TempDir())
			defer func() { _ = s.Close() }()
			recs := benchBatch(n)
			b.ReportAllocs()
			var last uint64
			for b.Loop() {
				var err error
				if last, err = s.Append(context.Background(), last, recs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(last)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// What free pages, which bbolt lists in every commit, cost the log after
// snapshots of 32 MB.
func BenchmarkAppendAfterSnapshots(b *testing.B) {
	s := open(b, b.TempDir())
	defer func() { _ = s.Close() }()
	last := fill(b, s, 32, 32)
	data := bytes.Repeat(benchRecord, 32<<20/len(benchRecord))
	for range 4 {
		if err := s.SaveSnapshot(context.Background(), store.Snapshot{Seq: last, Data: data}); err != nil {
			b.Fatal(err)
		}
	}
	recs, start := benchBatch(32), last
	for b.Loop() {
		var err error
		if last, err = s.Append(context.Background(), last, recs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(last-start)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkSaveSnapshot(b *testing.B) {
	s := open(b, b.TempDir())
	defer func() { _ = s.Close() }()
	data := bytes.Repeat(benchRecord, 32<<20/len(benchRecord))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := s.SaveSnapshot(context.Background(), store.Snapshot{Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMillion(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir)
	last := fill(b, s, 1_000_000, 1000)
	data := bytes.Repeat(benchRecord, 32<<20/len(benchRecord))
	if err := s.SaveSnapshot(context.Background(), store.Snapshot{Seq: last, Data: data}); err != nil {
		b.Fatal(err)
	}
	b.Run("Read", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := s.Read(context.Background(), 0, func(store.Record) error { n++; return nil }); err != nil || n != int(last) {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("LoadSnapshot", func(b *testing.B) {
		for b.Loop() {
			if _, ok, err := s.LoadSnapshot(context.Background()); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("OpenAfterClose", func(b *testing.B) {
		for b.Loop() {
			if err := open(b, dir).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("OpenAfterCrash", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			markUnclean(b, dir)
			b.StartTimer()
			s := open(b, dir)
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}
