package storm

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistogramQuantileIsCloseToExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(10*time.Minute)), 1, 400).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var h Histogram
		for _, v := range values {
			h.Record(time.Duration(v))
		}
		slices.Sort(values)
		rank := min(max(int(math.Ceil(q*float64(len(values)))), 1), len(values))
		exact, got := values[rank-1], int64(h.Quantile(q))
		if got < exact || float64(got-exact) > float64(exact)/128+1 {
			t.Fatalf("Quantile(%v) = %d, exact %d", q, got, exact)
		}
	})
}

func TestHistogramMergeEqualsRecordingBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.SliceOf(rapid.Int64Range(0, math.MaxInt64/1000))
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		var ha, hb, both Histogram
		for _, v := range a {
			ha.Record(time.Duration(v))
			both.Record(time.Duration(v))
		}
		for _, v := range b {
			hb.Record(time.Duration(v))
			both.Record(time.Duration(v))
		}
		ha.Merge(&hb)
		if ha != both {
			t.Fatalf("merged %+v, recorded together %+v", ha.Summary(), both.Summary())
		}
	})
}

func TestHistogramBucketsTileTheRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64().Draw(t, "v")
		b := bucket(v)
		if v > ceiling(b) {
			t.Fatalf("%d is above the ceiling %d of its bucket %d", v, ceiling(b), b)
		}
		if b > 0 && v <= ceiling(b-1) {
			t.Fatalf("%d belongs into the bucket below %d", v, b)
		}
	})
}

func TestHistogramEmpty(t *testing.T) {
	var h Histogram
	if got := h.Summary(); got != (Latency{}) {
		t.Fatalf("Summary of nothing = %+v", got)
	}
}
