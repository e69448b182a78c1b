package flight

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// track is what memory holds of one machine. What a machine writes on its
// console must not push out what happened to it, so the two are kept apart.
type track struct {
	key string

	filing sync.Mutex // held while the machine's files are read or written
	whole  bool       // what a power cut left half in them is mended; under filing

	entries, packets bucket

	mu       sync.Mutex
	loaded   bool
	events   ring
	text     ring // syslog and console
	count    int64
	pending  int    // entries that are due
	packs    []byte // records of the pcap file that are due
	records  int    // in packs
	queued   bool   // the writer knows of it
	followed int
	newest   time.Time
	grown    chan struct{} // closed at the next entry; nil when nobody waits
}

// place is where an entry is, besides memory.
type place int8

const (
	filed place = iota // in the machine's file
	due                // on its way there
	alone              // the disk will not have it
)

// numbered is an entry with its place in the order of arrival.
type numbered struct {
	n int64
	Entry
	place place
}

// What one machine is heard to do on the wire: more than any boot does. One
// that asks in a loop must neither keep the disk busy nor hold up the packets
// of others.
const (
	wirePerSecond = 2
	wireAtOnce    = 32
)

// bucket bounds a rate.
type bucket struct {
	mu      sync.Mutex
	used    float64
	at      time.Time
	refused int // since there was room
}

// take reports whether there is room for one more, and how many were refused
// before it. A clock that goes back gives no room.
func (b *bucket) take(now time.Time) (refused int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.room(now) {
		b.refused++
		return 0, false
	}
	b.used++
	refused, b.refused = b.refused, 0
	return refused, true
}

// refuse is take for whoever takes only if there is room.
func (b *bucket) refuse(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.room(now) {
		return false
	}
	b.refused++
	return true
}

func (b *bucket) room(now time.Time) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.used = max(0, b.used-passed.Seconds()*wirePerSecond)
		b.at = now
	}
	return b.used < wireAtOnce
}

// ring keeps the newest entries.
type ring struct {
	all  []numbered
	head int // of the oldest, once all is full
}

// add reports whether the ring grew.
func (g *ring) add(x numbered, limit int) bool {
	if len(g.all) < limit {
		if g.all == nil {
			g.all = make([]numbered, 0, min(limit, 16)) // a boot has as many
		}
		g.all = append(g.all, x)
		return true
	}
	g.all[g.head] = x
	g.head = (g.head + 1) % len(g.all)
	return false
}

// inOrder gives the oldest first.
func (g *ring) inOrder() []numbered {
	return append(slices.Clone(g.all[g.head:]), g.all[:g.head]...)
}

func (t *track) ringOf(s Source) *ring {
	if s == Syslog || s == Console {
		return &t.text
	}
	return &t.events
}

// added is what became of the machine by one more entry.
type added struct {
	grew    bool // memory holds one more than before
	first   bool // the writer does not know of the machine yet
	pending int
}

// add gives the entry its number.
func (t *track) add(e Entry, p place, limit int) (a added) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	if p == due {
		t.pending++
		a.first, t.queued = !t.queued, true
	}
	if e.At.After(t.newest) {
		t.newest = e.At
	}
	if t.grown != nil {
		close(t.grown)
		t.grown = nil
	}
	a.grew = t.ringOf(e.Source).add(numbered{n: t.count, Entry: e, place: p}, limit)
	a.pending = t.pending
	return a
}

// addPacket reports whether the writer does not know of the machine yet.
func (t *track) addPacket(p Packet) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.packs = appendRecord(t.packs, p)
	t.records++
	first, t.queued = !t.queued, true
	return first
}

// work is what the writer takes of one machine.
type work struct {
	due     []numbered // in the order of arrival
	entries int        // that were due; more than are there when memory had no room for all
	packets []byte
	records int
}

func (t *track) take() (w work) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w = work{entries: t.pending, packets: t.packs, records: t.records}
	t.packs, t.records, t.queued = nil, 0, false
	if t.pending > 0 {
		w.due = make([]numbered, 0, t.pending)
	}
	for _, g := range t.rings() {
		for i := range g.all {
			if x := &g.all[(g.head+i)%len(g.all)]; x.place == due {
				w.due = append(w.due, *x)
			}
		}
	}
	slices.SortFunc(w.due, byNumber)
	return w
}

// settle notes where the entries are that the writer took.
func (t *track) settle(w work, p place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending -= w.entries
	if len(w.due) == 0 {
		return
	}
	last := w.due[len(w.due)-1].n
	for _, g := range t.rings() {
		for i := range g.all {
			if x := &g.all[i]; x.place == due && x.n <= last {
				x.place = p
			}
		}
	}
}

func (t *track) rings() [2]*ring { return [2]*ring{&t.events, &t.text} }

func byNumber(a, b numbered) int { return cmp.Compare(a.n, b.n) }

// prepend puts what is in the files before what is in memory alone, and gives
// how much memory holds more than before.
func (t *track) prepend(past []Entry, limit int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := len(t.events.all) + len(t.text.all)
	since := slices.DeleteFunc(append(t.events.inOrder(), t.text.inOrder()...), func(x numbered) bool { return x.place == filed })
	seen := map[uint64]bool{0: true}
	first := t.count + 1
	for _, x := range since {
		seen[x.Seq] = true
		first = min(first, x.n)
	}
	t.events, t.text, t.loaded = ring{}, ring{}, true
	for i, e := range past {
		// What a daemon recorded and did not take down as recorded, before it
		// was killed, is recorded once more by the next one.
		if e.Seq != 0 && seen[e.Seq] {
			continue
		}
		seen[e.Seq] = true
		t.ringOf(e.Source).add(numbered{n: first - int64(len(past)-i), Entry: e}, limit)
		if e.At.After(t.newest) {
			t.newest = e.At
		}
	}
	for _, x := range since {
		t.ringOf(x.Source).add(x, limit)
	}
	return len(t.events.all) + len(t.text.all) - before
}

// fromStart is before every entry's number.
const fromStart = math.MinInt64

// after gives what arrived behind next and happened since; where that ends,
// and what is closed when there is more.
func (t *track) after(next int64, since time.Time) (news []Entry, last int64, grown <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append(t.events.inOrder(), t.text.inOrder()...)
	slices.SortFunc(all, byNumber)
	for _, x := range all {
		if x.n > next && !x.At.Before(since) {
			news = append(news, x.Entry)
		}
	}
	if t.grown == nil {
		t.grown = make(chan struct{})
	}
	return news, t.count, t.grown
}

func (t *track) isLoaded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.loaded
}

func (t *track) follow(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.followed += n
}

func (t *track) lastAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.newest
}

// empty takes a machine out of memory, unless somebody reads it or the disk
// does not have all of it yet; it gives how many entries went.
func (t *track) empty(onDisk bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.followed > 0 || t.pending > 0 {
		return 0
	}
	gone := len(t.events.all) + len(t.text.all)
	t.events, t.text, t.loaded = ring{}, ring{}, !onDisk
	return gone
}
