// Package ledger is the one write path. It folds the log into an immutable
// State, swaps that snapshot atomically so that readers never lock, and
// commits changes in groups: whoever waits while one commit is on its way to
// the disk shares the next one.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
)

// ErrStopped means that the ledger no longer takes changes, because Run
// ended. The error that ended it is wrapped beside it.
var ErrStopped = errors.New("the ledger has stopped")

// Decide looks at the newest state and gives the events that follow. It must
// be pure: it is called inside the single writer, and may be called again
// when another change of its group did not fold.
type Decide func(s *site.State, now time.Time) ([]site.Body, error)

// Options tune a ledger; the zero value is fit for use.
type Options struct {
	Clock         func() time.Time
	Log           *slog.Logger
	SnapshotEvery uint64 // events between snapshots; zero means 20,000
	// Committed is told how long each group took to reach the disk, how many
	// events it had, and whether it failed. Nil is allowed.
	Committed func(took time.Duration, events int, err error)
}

// maxGroup bounds one commit, so that its first caller does not wait for
// ever in a storm.
const maxGroup = 1024

// Ledger owns a log: nothing else may append to it.
type Ledger struct {
	log     store.Log
	opts    Options
	state   atomic.Pointer[site.State]
	failing atomic.Pointer[error] // of the latest commit
	calls   chan *call
	stopped chan struct{}
	cause   error // set before stopped is closed

	mu      sync.Mutex
	changed chan struct{} // closed at the next commit
	recent  []site.Event  // the newest of the log, so that followers need not read and decode them

	snapshotAt uint64 // sequence of the newest snapshot; the writer's own
}

type call struct {
	decide Decide
	err    error
	done   func(*site.State, error) // called once, by the writer; it does not block
}

// Open folds the log into a state: the newest intact snapshot, then the
// records after it. It starts no goroutine; Run does the writing.
func Open(ctx context.Context, log store.Log, opts Options) (*Ledger, error) {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.SnapshotEvery == 0 {
		opts.SnapshotEvery = 20_000
	}
	l := &Ledger{log: log, opts: opts, calls: make(chan *call, maxGroup), stopped: make(chan struct{}), changed: make(chan struct{})}
	s, err := l.restore(ctx)
	if err != nil {
		return nil, err
	}
	l.snapshotAt = s.Seq
	if err := log.Read(ctx, s.Seq, func(r store.Record) error {
		e, err := site.DecodeEvent(r.Seq, r.Data)
		if err != nil {
			return err
		}
		return s.Apply(e)
	}); err != nil {
		return nil, fmt.Errorf("folding the log: %w", err)
	}
	l.state.Store(s)
	return l, nil
}

func (l *Ledger) restore(ctx context.Context) (*site.State, error) {
	snap, ok, err := l.log.LoadSnapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the newest snapshot: %w", err)
	}
	if snap.Skipped != nil {
		l.opts.Log.Warn("a snapshot was damaged; folding from further back", "error", snap.Skipped)
	}
	s := site.NewState()
	if !ok {
		return s, nil
	}
	if err := s.UnmarshalJSON(snap.Data); err != nil {
		return nil, err
	}
	if s.Seq != snap.Seq {
		return nil, fmt.Errorf("the snapshot at event %d says that it is at event %d: restore a backup", snap.Seq, s.Seq)
	}
	return s, nil
}

// State is the newest committed state. It never changes.
func (l *Ledger) State() *site.State { return l.state.Load() }

// Now reads the ledger's clock.
func (l *Ledger) Now() time.Time { return l.opts.Clock().UTC().Truncate(time.Millisecond) }

// Do has decide give events inside the single writer, commits them, and
// returns the state that holds them: when it returns nil, they are on disk.
// A decision without events returns once everything it looked at is on disk.
func (l *Ledger) Do(ctx context.Context, decide Decide) (*site.State, error) {
	type result struct {
		state *site.State
		err   error
	}
	done := make(chan result, 1)
	c := &call{decide: decide, done: func(s *site.State, err error) { done <- result{s, err} }}
	select {
	case l.calls <- c:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.stopped:
		return nil, l.stopError()
	}
	select {
	case r := <-done:
		return r.state, r.err
	case <-l.stopped:
		// The writer may have answered in its last breath.
		select {
		case r := <-done:
			return r.state, r.err
		default:
			return nil, l.stopError()
		}
	}
}

// Try is Do for a caller who cannot wait: done is given what Do would return. It
// runs in the single writer, and must not block. Try reports whether there was
// room; without room, and after the ledger has stopped, done is not called.
func (l *Ledger) Try(decide Decide, done func(*site.State, error)) bool {
	select {
	case <-l.stopped:
		return false
	default:
	}
	select {
	case l.calls <- &call{decide: decide, done: done}:
		return true
	default:
		return false
	}
}

func (l *Ledger) stopError() error {
	if l.cause == nil {
		return ErrStopped
	}
	return fmt.Errorf("%w: %w", ErrStopped, l.cause)
}

// Run is the single writer. It ends with ctx, or with the error that makes
// the log unusable: a failed fsync, a record that does not fold.
func (l *Ledger) Run(ctx context.Context) error {
	var saving sync.WaitGroup
	err := l.write(ctx, &saving)
	saving.Wait()
	if err == nil && l.State().Seq > l.snapshotAt+l.opts.SnapshotEvery/20 {
		l.save(l.State())
	}
	l.cause = err
	close(l.stopped)
	l.refuse()
	return err
}

// refuse answers those who came too late and do not wait themselves.
func (l *Ledger) refuse() {
	for {
		select {
		case c := <-l.calls:
			c.answer(nil, l.stopError())
		default:
			return
		}
	}
}

func (l *Ledger) write(ctx context.Context, saving *sync.WaitGroup) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-l.calls:
			if err := l.commit(ctx, l.gather(first)); err != nil {
				return err
			}
		}
		if s := l.State(); s.Seq >= l.snapshotAt+l.opts.SnapshotEvery {
			saving.Wait()
			l.snapshotAt = s.Seq
			saving.Go(func() { l.save(s) })
		}
	}
}

// gather takes everybody who waits. The scheduler runs a goroutine that was
// sent something before those that were ready already: without a turn for
// them, on one processor a group is its first caller alone.
func (l *Ledger) gather(first *call) []*call {
	runtime.Gosched()
	group := []*call{first}
	for len(group) < maxGroup {
		select {
		case c := <-l.calls:
			group = append(group, c)
		default:
			return group
		}
	}
	return group
}

// commit decides, folds and writes one group. Only what leaves the log
// unusable is returned; the rest is told to the callers.
func (l *Ledger) commit(ctx context.Context, group []*call) error {
	d := l.fold(group)
	var err error
	if len(d.records) > 0 {
		began := time.Now()
		_, err = l.log.Append(context.WithoutCancel(ctx), l.State().Seq, d.records)
		l.committed(time.Since(began), len(d.records), err)
	}
	if err != nil {
		err = fmt.Errorf("writing to the log: %w", err)
		for _, c := range group {
			c.answer(nil, err)
		}
		if errors.Is(err, store.ErrNoSpace) {
			l.opts.Log.Error("the disk is full: nothing new is promised until there is room", "error", err)
			return nil
		}
		return err
	}
	if len(d.records) > 0 {
		l.publish(d)
	}
	for _, c := range group {
		c.answer(l.State(), c.err)
	}
	return nil
}

func (l *Ledger) committed(took time.Duration, events int, err error) {
	l.failing.Store(&err)
	if l.opts.Committed != nil {
		l.opts.Committed(took, events, err)
	}
}

// Failing is why the latest commit failed, or nil if it did not.
func (l *Ledger) Failing() error {
	if err := l.failing.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *call) answer(s *site.State, err error) {
	if c.err == nil {
		c.err = err
	}
	if c.err != nil {
		s = nil
	}
	c.done(s, c.err)
}

// draft is what a group makes of the state: the state after it, its events, and
// the records of these.
type draft struct {
	state   *site.State
	events  []site.Event
	records [][]byte
}

// fold runs every decision of the group on one draft. A decision whose events
// do not fold is dropped with its error, and the others decide again on a
// draft that it never touched.
func (l *Ledger) fold(group []*call) *draft {
	for {
		d := &draft{state: l.State().Fork()}
		spoiled := false
		for _, c := range group {
			if c.err != nil {
				continue
			}
			if err := d.decide(c, l.Now()); err != nil {
				c.err, spoiled = err, true
				break
			}
		}
		if !spoiled {
			return d
		}
	}
}

func (d *draft) decide(c *call, now time.Time) error {
	bodies, err := c.decide(d.state, now)
	if err != nil {
		c.err = err
		return nil
	}
	for _, b := range bodies {
		record, err := site.EncodeEvent(now, b)
		if err != nil {
			return err
		}
		e := site.Event{Seq: d.state.Seq + 1, At: now, Body: b}
		if err := d.state.Apply(e); err != nil {
			return err
		}
		d.events, d.records = append(d.events, e), append(d.records, record)
	}
	return nil
}

func (l *Ledger) publish(d *draft) {
	l.state.Store(d.state)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(d.events)
	close(l.changed)
	l.changed = make(chan struct{})
}

// remember keeps between one and two chunks. What was handed to a follower is
// not written again: the newest move to other memory when there are too many.
func (l *Ledger) remember(events []site.Event) {
	l.recent = append(l.recent, events...)
	if n := len(l.recent); n >= 2*chunk {
		l.recent = append(make([]site.Event, 0, 2*chunk), l.recent[n-chunk:]...)
	}
}

// save writes a snapshot. It is a cache, so a failure costs only time: the
// append that follows meets the same disk and says what is wrong with it.
func (l *Ledger) save(s *site.State) {
	data, err := s.MarshalJSON()
	if err == nil {
		err = l.log.SaveSnapshot(context.Background(), store.Snapshot{Seq: s.Seq, Data: data})
	}
	if err != nil {
		l.opts.Log.Warn("saving a snapshot failed; the next start folds more of the log", "seq", s.Seq, "error", err)
	}
}
