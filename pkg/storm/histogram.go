package storm

import (
	"math"
	"math/bits"
	"time"
)

// subBits sets the resolution: each power of two is cut into 2^subBits equal
// steps, so a reported quantile is at most 1/128 above the true one.
const subBits = 7

// Histogram counts durations in log-linear buckets (the HDR scheme): constant
// memory, constant time per record, relative error below 0.8 %. The zero value
// is ready to use. It is not safe for concurrent use.
type Histogram struct {
	counts   [(64 - subBits + 1) << subBits]uint32
	n        uint64
	sum      time.Duration
	min, max time.Duration
}

func bucket(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return (shift+1)<<subBits + int(v>>shift) - 1<<subBits
}

// ceiling is the largest value that falls into bucket b.
func ceiling(b int) uint64 {
	if b < 1<<subBits {
		return uint64(b)
	}
	shift := b>>subBits - 1
	return (uint64(b&(1<<subBits-1))+1<<subBits+1)<<shift - 1
}

// Record counts d once; a negative d counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	if h.n == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.counts[bucket(uint64(d))]++
	h.n++
	h.sum += d
}

// Merge adds everything that o has counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	if h.n == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
}

// Quantile returns a duration d such that at least the share q (0 to 1) of the
// records are d or less, exact at the maximum and within 0.8 % elsewhere. It is
// zero when nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(h.n)))
	rank = min(max(rank, 1), h.n)
	var seen uint64
	for b, c := range h.counts {
		if seen += uint64(c); seen >= rank {
			return min(max(time.Duration(ceiling(b)), h.min), h.max)
		}
	}
	return h.max
}

// Summary reduces the histogram to the figures that are reported.
func (h *Histogram) Summary() Latency {
	l := Latency{Count: h.n, P50: h.Quantile(.5), P90: h.Quantile(.9), P99: h.Quantile(.99), Max: h.max}
	if h.n > 0 {
		l.Mean = h.sum / time.Duration(h.n)
	}
	return l
}

// Latency summarises a set of durations.
type Latency struct {
	Count uint64        `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}
