package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spy counts what reaches a log, and fails it on demand.
type spy struct {
	store.Log
	appends, read atomic.Int64
	fail          atomic.Pointer[error]
	gate          chan struct{} // each append waits for one, if not nil
}

func (s *spy) Append(ctx context.Context, guard uint64, recs [][]byte) (uint64, error) {
	s.appends.Add(1)
	if s.gate != nil {
		<-s.gate
	}
	if err := s.fail.Load(); err != nil {
		return 0, *err
	}
	return s.Log.Append(ctx, guard, recs)
}

func (s *spy) Read(ctx context.Context, after uint64, fn func(store.Record) error) error {
	return s.Log.Read(ctx, after, func(r store.Record) error {
		s.read.Add(1)
		return fn(r)
	})
}

func (s *spy) failWith(err error) { s.fail.Store(&err) }

// running opens a ledger and runs it until stop is called.
func running(t *testing.T, log store.Log, o ledger.Options) (l *ledger.Ledger, stop func() error) {
	t.Helper()
	l, err := ledger.Open(t.Context(), log, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var once sync.Once
	var ended error
	stop = func() error {
		once.Do(func() { cancel(); ended = <-done })
		return ended
	}
	t.Cleanup(func() { _ = stop() })
	return l, stop
}

func lease(i int) site.Body {
	addr, _ := site.AddrAfter(netip.MustParseAddr("10.0.0.1"), i)
	return site.LeaseGranted{Lease: site.Lease{MAC: site.MAC{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}, Addr: addr, Until: time.Unix(1e9, 0).UTC()}}
}

func give(bodies ...site.Body) ledger.Decide {
	return func(*site.State, time.Time) ([]site.Body, error) { return bodies, nil }
}

func TestWhatWasDoneIsThereAfterReopening(t *testing.T) {
	log := mem.New()
	l, stop := running(t, log, ledger.Options{})
	for i := range 100 {
		s, err := l.Do(t.Context(), give(lease(i)))
		if err != nil {
			t.Fatal(err)
		}
		if s.Leases.Len() != i+1 {
			t.Fatalf("Do returned a state with %d leases, want %d", s.Leases.Len(), i+1)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	again, err := ledger.Open(t.Context(), log, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := again.State(); got.Leases.Len() != 100 || got.Seq != 100 {
		t.Errorf("after reopening there are %d leases at event %d", got.Leases.Len(), got.Seq)
	}
}

func TestWaitingChangesShareACommit(t *testing.T) {
	log := &spy{Log: mem.New(), gate: make(chan struct{})}
	l, _ := running(t, log, ledger.Options{})
	var done sync.WaitGroup
	do := func(i int) {
		done.Go(func() {
			if _, err := l.Do(context.Background(), give(lease(i))); err != nil {
				t.Error(err)
			}
		})
	}
	do(0)
	for log.appends.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	const more = 200
	var queued sync.WaitGroup
	queued.Add(more)
	for i := 1; i <= more; i++ {
		done.Go(func() {
			queued.Done()
			if _, err := l.Do(context.Background(), give(lease(i))); err != nil {
				t.Error(err)
			}
		})
	}
	queued.Wait()
	close(log.gate)
	done.Wait()
	if got := l.State().Leases.Len(); got != more+1 {
		t.Errorf("%d leases, want %d", got, more+1)
	}
	if n := log.appends.Load(); n > more/4 {
		t.Errorf("%d changes took %d commits", more+1, n)
	}
}

func TestAStateThatWasReadNeverChanges(t *testing.T) {
	l, _ := running(t, mem.New(), ledger.Options{})
	before, err := l.Do(t.Context(), give(lease(1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Do(t.Context(), give(lease(2), site.LeaseReleased{MAC: site.MAC{2, 0, 0, 0, 0, 1}})); err != nil {
		t.Fatal(err)
	}
	if before.Leases.Len() != 1 || before.Seq != 1 {
		t.Errorf("the old state now has %d leases at event %d", before.Leases.Len(), before.Seq)
	}
}

func TestADecisionThatDoesNotFoldSpoilsNobodyElse(t *testing.T) {
	log := &spy{Log: mem.New(), gate: make(chan struct{}, 1000)}
	l, _ := running(t, log, ledger.Options{})
	first := make(chan error, 1)
	go func() { _, err := l.Do(context.Background(), give(lease(0))); first <- err }()
	for log.appends.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	results := make(chan error, 3)
	for _, d := range []ledger.Decide{
		give(lease(1)),
		give(site.InstallStarted{Node: "nobody", Attempt: 1}),
		give(lease(2)),
	} {
		go func() { _, err := l.Do(context.Background(), d); results <- err }()
	}
	for range 5 {
		log.gate <- struct{}{}
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	bad := 0
	for range 3 {
		if err := <-results; err != nil {
			bad++
		}
	}
	if bad != 1 || l.State().Leases.Len() != 3 {
		t.Errorf("%d of 3 changes failed, %d leases; want 1 and 3", bad, l.State().Leases.Len())
	}
}

func TestAFullDiskRefusesAndRecovers(t *testing.T) {
	log := &spy{Log: mem.New()}
	l, _ := running(t, log, ledger.Options{})
	log.failWith(fmt.Errorf("writing page 7: %w", store.ErrNoSpace))
	if _, err := l.Do(t.Context(), give(lease(1))); !errors.Is(err, store.ErrNoSpace) {
		t.Fatalf("on a full disk Do gave %v", err)
	}
	if l.State().Leases.Len() != 0 {
		t.Fatal("a change that was not written is in the state")
	}
	log.fail.Store(nil)
	if _, err := l.Do(t.Context(), give(lease(1))); err != nil {
		t.Fatalf("with room again Do gave %v", err)
	}
}

func TestAFailedLogIsFatal(t *testing.T) {
	log := &spy{Log: mem.New()}
	l, stop := running(t, log, ledger.Options{})
	log.failWith(fmt.Errorf("fdatasync: %w", store.ErrFailed))
	if _, err := l.Do(t.Context(), give(lease(1))); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("Do gave %v", err)
	}
	if err := stop(); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("Run gave %v", err)
	}
	log.fail.Store(nil)
	if _, err := l.Do(t.Context(), give(lease(2))); !errors.Is(err, ledger.ErrStopped) || !errors.Is(err, store.ErrFailed) {
		t.Errorf("after the failure Do gave %v", err)
	}
}

func TestASnapshotShortensTheFold(t *testing.T) {
	log := &spy{Log: mem.New()}
	l, stop := running(t, log, ledger.Options{SnapshotEvery: 100})
	for i := range 1050 {
		if _, err := l.Do(t.Context(), give(lease(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	log.read.Store(0)
	again, err := ledger.Open(t.Context(), log, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := again.State().Leases.Len(); got != 1050 {
		t.Errorf("%d leases after reopening", got)
	}
	if n := log.read.Load(); n > 100 {
		t.Errorf("opening folded %d events, although there was a snapshot", n)
	}
}

func TestFollowGivesEveryEventOnceAndInOrder(t *testing.T) {
	l, _ := running(t, mem.New(), ledger.Options{})
	const before, after = 700, 700
	for i := range before {
		if _, err := l.Do(t.Context(), give(lease(i))); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for i := range after {
			_, _ = l.Do(context.Background(), give(lease(before+i)))
		}
	}()
	next := uint64(11)
	for e, err := range l.Follow(t.Context(), 10) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != next {
			t.Fatalf("got event %d, want %d", e.Seq, next)
		}
		if next++; next > before+after {
			break
		}
	}
}

// Whoever does not wait is told all the same: what was committed, what was
// refused, and that the ledger has stopped.
func TestThoseWhoDoNotWaitAreTold(t *testing.T) {
	log := &spy{Log: mem.New()}
	l, stop := running(t, log, ledger.Options{})
	told := make(chan error, 1)
	try := func(i int) error {
		t.Helper()
		var seq uint64
		if !l.Try(give(lease(i)), func(s *site.State, err error) {
			if s != nil {
				seq = s.Seq
			}
			told <- err
		}) {
			t.Fatal("there was no room")
		}
		err := <-told
		if err == nil && (seq == 0 || l.State().Seq < seq) {
			t.Errorf("told of event %d at event %d", seq, l.State().Seq)
		}
		return err
	}
	if err := try(1); err != nil || log.appends.Load() != 1 {
		t.Fatalf("%v after %d writes", err, log.appends.Load())
	}
	log.failWith(store.ErrNoSpace)
	if err := try(2); !errors.Is(err, store.ErrNoSpace) {
		t.Fatalf("on a full disk it is %v", err)
	}
	log.gate = make(chan struct{})
	log.fail.Store(nil)
	if !l.Try(give(lease(3)), func(_ *site.State, err error) { told <- err }) {
		t.Fatal("there was no room")
	}
	for log.appends.Load() < 3 {
		runtime.Gosched()
	}
	late := make(chan error, 1)
	if !l.Try(give(lease(4)), func(_ *site.State, err error) { late <- err }) {
		t.Fatal("there was no room")
	}
	ended := make(chan struct{})
	go func() { _ = stop(); close(ended) }()
	log.gate <- struct{}{}
	select {
	case log.gate <- struct{}{}: // the writer may take the late one before it sees that it is to end
		<-ended
	case <-ended:
	}
	if err := <-told; err != nil {
		t.Errorf("what was on its way is %v", err)
	}
	if err := <-late; err != nil && !errors.Is(err, ledger.ErrStopped) {
		t.Errorf("what came too late is %v", err)
	}
	if l.Try(give(lease(5)), func(*site.State, error) { t.Error("told after the end") }) {
		t.Error("a ledger that has stopped took a change")
	}
}

// The newest events come out of memory, and are what the log holds.
func TestTheNewestEventsAreNotReadFromTheLog(t *testing.T) {
	log := &spy{Log: mem.New()}
	l, _ := running(t, log, ledger.Options{})
	const all, back = 2000, 300
	for i := range all {
		if _, err := l.Do(t.Context(), give(lease(i))); err != nil {
			t.Fatal(err)
		}
	}
	newest, err := l.Events(t.Context(), all-back, back)
	if err != nil || log.read.Load() != 0 {
		t.Fatalf("%v, and %d events were read from the log", err, log.read.Load())
	}
	whole, err := l.Events(t.Context(), 0, all)
	if err != nil || len(whole) != all || log.read.Load() == 0 {
		t.Fatalf("%v: %d events, of which %d were read from the log", err, len(whole), log.read.Load())
	}
	next := uint64(0)
	if err := log.Log.Read(t.Context(), 0, func(r store.Record) error {
		e, err := site.DecodeEvent(r.Seq, r.Data)
		if next++; err == nil && !reflect.DeepEqual(e, whole[next-1]) {
			t.Errorf("event %d is %+v, and %+v in the log", next, whole[next-1], e)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(newest, whole[all-back:]) {
		t.Error("the newest events are others than the end of the log")
	}
}

func TestFollowEndsWithTheLedger(t *testing.T) {
	l, stop := running(t, mem.New(), ledger.Options{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range l.Follow(context.Background(), 0) {
		}
	}()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

func BenchmarkDo(b *testing.B) {
	l, err := ledger.Open(b.Context(), mem.New(), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var n atomic.Int64
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Do(context.Background(), give(lease(int(n.Add(1))%16000))); err != nil {
				b.Error(err)
			}
		}
	})
	cancel()
	<-done
}
