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
	// sayAgain is how often the log hears of what goes on.
	sayAgain = time.Minute
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
	full   map[site.Range]time.Time // when it was said of a pool
}

type boots struct {
	xid uint32 // of the latest, so that retransmissions count once
	at  [loopCount]time.Time

	said time.Time // that it loops
}

func newWatch() *watch {
	return &watch{boots: map[site.MAC]*boots{}, seen: map[site.MAC]struct{}{}, full: map[site.Range]time.Time{}}
}

// looping counts one offer of a first-stage loader, and reports the fifth
// within two minutes, and each one after it while the rate lasts. It is news
// once a minute: whoever sends a thousand a second fills no disk with it.
func (w *watch) looping(m site.MAC, xid uint32, now time.Time) (loops, news bool) {
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
		return false, false
	}
	b.xid = xid
	copy(b.at[:], b.at[1:])
	b.at[loopCount-1] = now
	if b.at[0].IsZero() || now.Sub(b.at[0]) > loopWindow {
		return false, false
	}
	news = now.Sub(b.said) >= sayAgain
	if news {
		b.said = now
	}
	return true, news
}

// exhausted reports whether it is time to say that a pool has nothing left.
func (w *watch) exhausted(pool site.Range, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.full[pool]) < sayAgain {
		return false
	}
	w.full[pool] = now
	return true
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
