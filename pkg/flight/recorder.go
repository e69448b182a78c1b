package flight

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Options tune a recorder. The zero value keeps what it is told in memory alone.
type Options struct {
	Dir       string           // where each machine has its NODE.jsonl; empty keeps nothing on disk
	Clock     func() time.Time // nil means time.Now
	Log       *slog.Logger     // nil means silence
	PerNode   int              // entries of one machine in memory, and as many lines of its syslog and console; zero means 1,000
	InMemory  int              // entries of all machines in memory; zero means 40,000
	MaxFile   int64            // bytes of a file before it is rotated, and two are kept; zero means 4 MiB
	MaxTotal  int64            // bytes of all files; beyond it the oldest are removed; zero means 2 GiB
	Strangers int              // machines that no plan names; zero means 4,096
}

// backlog is how many entries and packets may wait for the disk. A row of racks
// that boots makes a few thousand a second.
const backlog = 16 << 10

// Recorder keeps what was observed of each machine: in memory, bounded, and
// in one file a machine, so that it survives a restart. Record never waits
// for the disk: what the writer cannot keep up with stays in memory and is
// counted as dropped from the file.
type Recorder struct {
	o     Options
	wake  chan struct{} // something waits for the disk
	hurry chan struct{} // somebody waits for it to be there

	mu        sync.RWMutex
	tracks    map[string]*track
	strangers int

	lists    sync.Mutex
	dirty    []*track        // that have something for the disk
	barriers []chan struct{} // closed when what was dirty before them is written

	waiting atomic.Int64 // entries and packets that are on their way to the disk
	held    atomic.Int64 // entries in memory
	dropped atomic.Uint64
	logged  atomic.Uint64 // highest sequence of the site's log that was recorded
	running atomic.Bool
	ended   chan struct{}
	writer  writer
}

// Open gives a recorder on a directory, which it makes. It reads a machine's
// file when it is first asked about it, and starts no goroutine: Run writes.
func Open(o Options) (*Recorder, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.PerNode, 1000)
	setDefault(&o.InMemory, 40_000)
	setDefault(&o.Strangers, 4096)
	if o.MaxFile <= 0 {
		o.MaxFile = 4 << 20
	}
	if o.MaxTotal <= 0 {
		o.MaxTotal = 2 << 30
	}
	r := &Recorder{o: o, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), tracks: map[string]*track{}, ended: make(chan struct{})}
	r.writer = writer{dir: o.Dir, maxFile: o.MaxFile, maxTotal: o.MaxTotal, log: o.Log}
	if o.Dir == "" {
		return r, nil
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the flight recorder: %w", err)
	}
	if err := r.writer.prune(o.Strangers); err != nil {
		return nil, fmt.Errorf("looking at the files of the flight recorder: %w", err)
	}
	r.logged.Store(r.writer.readSeq())
	return r, nil
}

func setDefault(n *int, value int) {
	if *n <= 0 {
		*n = value
	}
}

// Record keeps an entry. It neither blocks nor fails: an entry that nothing
// can be attributed to, or that there is no room for, is counted as dropped.
func (r *Recorder) Record(e Entry) {
	if e.At.IsZero() {
		e.At = r.o.Clock()
	}
	e.At = e.At.UTC()
	e.tidy()
	t := r.trackOf(e.key(), e.Node == "")
	if t == nil {
		r.dropped.Add(1)
		return
	}
	if e.Source.wire() {
		refused, ok := t.entries.take(e.At)
		if !ok {
			r.dropped.Add(1)
			return
		}
		if refused > 0 {
			e.Detail = strings.TrimPrefix(fmt.Sprintf("%s; %d more before it, too many to keep", e.Detail, refused), "; ")
		}
	}
	place := alone
	if r.o.Dir != "" {
		if place = due; r.waiting.Add(1) > backlog {
			r.waiting.Add(-1)
			r.dropped.Add(1)
			place = alone
		}
	}
	added := t.add(e, place, r.o.PerNode)
	if added.grew {
		r.held.Add(1)
	}
	if e.Seq > r.logged.Load() {
		r.logged.Store(e.Seq) // there is one follower of the log
	}
	switch {
	case r.o.Dir == "":
		r.forget()
	case added.first:
		r.enqueue(t)
	case added.pending == r.o.PerNode/2:
		signal(r.hurry) // before memory has no room for what the disk does not have
	}
}

// enqueue lets the writer know of a machine.
func (r *Recorder) enqueue(t *track) {
	r.lists.Lock()
	r.dirty = append(r.dirty, t)
	r.lists.Unlock()
	signal(r.wake)
}

// signal leaves a word for one who waits; one word is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Full reports that a machine is heard on the wire more often than is kept, so
// that its next entry need not be put together. It is counted as dropped.
func (r *Recorder) Full(node string, mac site.MAC, at time.Time) bool {
	e := Entry{Node: node, MAC: mac}
	r.mu.RLock()
	t := r.tracks[e.key()]
	r.mu.RUnlock()
	if t == nil || !t.entries.refuse(at) {
		return false
	}
	r.dropped.Add(1)
	return true
}

// Dropped counts what could not be kept, since Open.
func (r *Recorder) Dropped() uint64 { return r.dropped.Load() }

// Logged is the highest sequence of the site's log that was recorded, also
// before a restart: whoever follows the log goes on behind it.
func (r *Recorder) Logged() uint64 { return r.logged.Load() }

// trackOf gives the track of a machine, and makes it; nil when there is no
// room for another stranger.
func (r *Recorder) trackOf(key string, stranger bool) *track {
	if key == "" {
		return nil
	}
	r.mu.RLock()
	t := r.tracks[key]
	r.mu.RUnlock()
	if t != nil {
		return t
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tracks[key]; t != nil {
		return t
	}
	if stranger {
		if r.strangers >= r.o.Strangers {
			return nil
		}
		r.strangers++
	}
	t = &track{key: key, loaded: r.o.Dir == "" || !r.writer.has(key)}
	r.tracks[key] = t
	return t
}

// known gives the track of a machine that was recorded, now or before a
// restart, with its past; nil for one that never was.
func (r *Recorder) known(key string) *track {
	r.mu.RLock()
	t := r.tracks[key]
	r.mu.RUnlock()
	if t == nil {
		if r.o.Dir == "" || !r.writer.has(key) {
			return nil
		}
		t = r.trackOf(key, false)
	}
	r.load(t)
	return t
}

// load brings what a machine's files hold into memory, before what is there
// alone.
func (r *Recorder) load(t *track) {
	t.filing.Lock()
	defer t.filing.Unlock()
	if t.isLoaded() {
		return
	}
	r.held.Add(int64(t.prepend(r.writer.past(t.key), r.o.PerNode)))
}

// Timeline gives what is known of a machine since a time, the oldest first.
// A machine that the plan does not name goes by its MAC.
func (r *Recorder) Timeline(node string, since time.Time) []Entry {
	t := r.known(node)
	if t == nil {
		return nil
	}
	all, _, _ := t.after(fromStart, since)
	slices.SortStableFunc(all, func(a, b Entry) int { return a.At.Compare(b.At) })
	return all
}

// Last gives the newest entry of a machine from one of the sources; without
// sources, from any.
func (r *Recorder) Last(node string, sources ...Source) (Entry, bool) {
	all := r.Timeline(node, time.Time{})
	for _, e := range slices.Backward(all) {
		if len(sources) == 0 || slices.Contains(sources, e.Source) {
			return e, true
		}
	}
	return Entry{}, false
}

// Follow gives what is known of a machine since a time, and then each entry
// as it is recorded, until ctx ends. A reader who is slower than the machine
// misses what memory does not hold any more.
func (r *Recorder) Follow(ctx context.Context, node string, since time.Time) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		t := r.known(node)
		if t == nil {
			t = r.trackOf(node, false)
			r.load(t)
		}
		t.follow(1)
		defer t.follow(-1)
		for next := int64(fromStart); ; {
			news, last, grown := t.after(next, since)
			for _, e := range news {
				if !yield(e) {
					return
				}
			}
			next, since = last, time.Time{}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Run writes until ctx has ended, and then what is left.
func (r *Recorder) Run(ctx context.Context) error {
	r.running.Store(true)
	defer close(r.ended)
	for {
		select {
		case <-r.wake:
			r.linger(ctx)
			r.write(ctx.Done())
		case <-ctx.Done():
			r.write(ctx.Done())
			return nil
		}
	}
}

// Sync returns when everything recorded before it is in the files, as far as
// a writer runs.
func (r *Recorder) Sync(ctx context.Context) error {
	if r.o.Dir == "" || !r.running.Load() && r.waiting.Load() == 0 {
		return nil
	}
	barrier := make(chan struct{})
	r.lists.Lock()
	r.barriers = append(r.barriers, barrier)
	r.lists.Unlock()
	signal(r.hurry)
	signal(r.wake)
	select {
	case <-barrier:
	case <-r.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// linger waits for more: opening a file for one line costs more than the line.
func (r *Recorder) linger(ctx context.Context) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.hurry:
	case <-ctx.Done():
	}
}

// rest leaves the processor to packets for four times as long as the writer had
// it. On a machine with one, a packet waits for whatever runs, and the Go
// scheduler lets it run for 10 ms: that was the p99 of DHCP.
func rest(worked time.Duration, end <-chan struct{}) {
	timer := time.NewTimer(4 * worked)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-end:
	}
}

// write takes one machine after the other, because what it did for all of them
// at once would be done without a rest.
func (r *Recorder) write(end <-chan struct{}) {
	r.lists.Lock()
	dirty, barriers := r.dirty, r.barriers
	r.dirty, r.barriers = nil, nil
	r.lists.Unlock()
	seq := uint64(0)
	for _, t := range dirty {
		began := time.Now()
		seq = max(seq, r.writeTrack(t))
		rest(time.Since(began), end)
	}
	r.writer.shrink()
	if seq > 0 {
		r.writer.saveSeq(seq)
	}
	r.forget()
	for _, b := range barriers {
		close(b)
	}
}

// writeTrack does not read the past: memory may have no room for it. It gives
// the highest sequence of the site's log in what it wrote.
func (r *Recorder) writeTrack(t *track) (seq uint64) {
	t.filing.Lock()
	defer t.filing.Unlock()
	if !t.whole {
		r.writer.mend(t.key)
		t.whole = true
	}
	w := t.take()
	r.waiting.Add(-int64(w.entries + w.records))
	place := filed
	if !r.writer.append(t.key, w.due, w.packets) {
		t.whole = false // a full disk may have taken half a line
		place = alone
		r.dropped.Add(uint64(len(w.due)))
	}
	r.dropped.Add(uint64(w.entries - len(w.due)))
	t.settle(w, place)
	for _, e := range w.due {
		seq = max(seq, e.Seq)
	}
	return seq
}

// forget takes the machines that said nothing for longest out of memory, when
// it holds too much.
func (r *Recorder) forget() {
	if r.held.Load() <= int64(r.o.InMemory) {
		return
	}
	r.mu.RLock()
	all := make([]*track, 0, len(r.tracks))
	for _, t := range r.tracks {
		all = append(all, t)
	}
	r.mu.RUnlock()
	type aged struct {
		t  *track
		at time.Time
	}
	ages := make([]aged, 0, len(all))
	for _, t := range all {
		ages = append(ages, aged{t, t.lastAt()})
	}
	slices.SortFunc(ages, func(a, b aged) int { return a.at.Compare(b.at) })
	for _, a := range ages {
		if r.held.Load() <= int64(r.o.InMemory)*3/4 {
			return
		}
		r.held.Add(-int64(a.t.empty(r.o.Dir != "")))
	}
}

// Held is the number of entries in memory.
func (r *Recorder) Held() int { return int(r.held.Load()) }
