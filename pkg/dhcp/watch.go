package dhcp

import (
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	loopCount  = 5
	loopWindow = 2 * time.Minute
	// maxWatched bounds what strangers can make us remember.
	maxWatched = 1 << 14
	// sightingsPerMinute bounds what strangers can make us write.
	sightingsPerMinute = 60
)

// watch notices what no single message shows: a machine that asks for its
// first-stage loader again and again, and a stranger's first appearance.
type watch struct {
	mu     sync.Mutex
	boots  map[site.MAC]*boots
	seen   map[site.MAC]struct{}
	minute time.Time
	count  int
}

type boots struct {
	xid uint32 // of the latest, so that retransmissions count once
	at  [loopCount]time.Time
}

func newWatch() *watch {
	return &watch{boots: map[site.MAC]*boots{}, seen: map[site.MAC]struct{}{}}
}

// looping counts one offer of a first-stage loader, and reports the fifth
// within two minutes, and each one after it while the rate lasts.
func (w *watch) looping(m site.MAC, xid uint32, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.boots[m]
	if b == nil {
		if len(w.boots) >= maxWatched {
			clear(w.boots)
		}
		b = &boots{}
		w.boots[m] = b
	} else if b.xid == xid {
		return false
	}
	b.xid = xid
	copy(b.at[:], b.at[1:])
	b.at[loopCount-1] = now
	return !b.at[0].IsZero() && now.Sub(b.at[0]) <= loopWindow
}

// first reports whether this stranger is new and there is room to record it.
// A stranger that finds no room is new again at its next packet.
func (w *watch) first(m site.MAC, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.seen[m]; ok || len(w.seen) >= maxWatched {
		return false
	}
	if now.Sub(w.minute) >= time.Minute {
		w.minute, w.count = now, 0
	}
	if w.count >= sightingsPerMinute {
		return false
	}
	w.count++
	w.seen[m] = struct{}{}
	return true
}
