package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
	"github.com/rackseed/rackseed/pkg/store/storetest"
)

var quiet = bolt.Options{Log: slog.New(slog.DiscardHandler)}

func open(t testing.TB, dir string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(context.Background(), dir, quiet)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func TestConformance(t *testing.T) {
	dirs := make(map[store.Log]string)
	openIn := func(t testing.TB, dir string) store.Log {
		s := open(t, dir)
		dirs[s] = dir
		return s
	}
	storetest.Run(t,
		func(t testing.TB) store.Log { return openIn(t, tempDir(t)) },
		func(t testing.TB, l store.Log) store.Log {
			if err := l.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			return openIn(t, dirs[l])
		})
}

func TestSecondOpenerNamesTheFirst(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer func() { _ = s.Close() }()
	o := quiet
	o.LockTimeout = time.Millisecond
	_, err := bolt.Open(context.Background(), dir, o)
	var busy *bolt.InUseError
	if !errors.As(err, &busy) || busy.Path != s.Path() {
		t.Fatalf("Open: %v, want an InUseError for %s", err, s.Path())
	}
	if busy.PID != os.Getpid() || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("the holder is given as %d (%v), want %d", busy.PID, err, os.Getpid())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o.LockTimeout = time.Hour
	if _, err := bolt.Open(ctx, dir, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a cancelled context: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantLast(t, dir, 0)
}

func wantLast(t *testing.T, dir string, want uint64) {
	t.Helper()
	s := open(t, dir)
	defer func() { _ = s.Close() }()
	if last, err := readAndVerify(s); last != want || err != nil {
		t.Errorf("the log ends at %d, %v, want %d", last, err, want)
	}
}

func TestManyOpenersOfANewLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	o := quiet
	o.LockTimeout = time.Minute
	sites := make([]string, 8)
	var wg sync.WaitGroup
	for i := range sites {
		wg.Go(func() {
			s, err := bolt.Open(context.Background(), dir, o)
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			sites[i] = s.Site()
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	if len(slices.Compact(sites)) != 1 || len(sites[0]) != 32 {
		t.Errorf("sites %q, want one random id", sites)
	}
}

func TestNewLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	// What a creation that was killed leaves behind is no obstacle.
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, bolt.FileName+".new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := bolt.Open(context.Background(), dir, bolt.Options{Site: "lab", Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if s.Site() != "lab" || !s.Created().Equal(now) {
			t.Errorf("site %q created %v", s.Site(), s.Created())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != bolt.FileName {
		t.Fatalf("the state directory has %v, %v, want one file", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the directory %v, %v, want 0700", info.Mode(), err)
	}
}

func TestOpeningAndReadingWritesNothing(t *testing.T) {
	data := image(t, true)
	dir, path := putFile(t, data)
	wantLast(t, dir, 400)
	wantUnchanged(t, path, data)
}

// A backup is taken while the log grows, and is a log.
func TestBackup(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir())
	defer func() { _ = s.Close() }()
	if _, err := s.Append(ctx, 0, payloads(1, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveSnapshot(ctx, store.Snapshot{Seq: 1000, Data: []byte("state")}); err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	last := uint64(1000)
	err := s.Backup(writerFunc(func(p []byte) (int, error) {
		// An append that has to wait for the backup would never return.
		next, err := s.Append(ctx, last, payloads(last+1, last+500))
		if err != nil {
			return 0, err
		}
		last = next
		return copied.Write(p)
	}))
	if err != nil || last == 1000 {
		t.Fatalf("Backup: %v; the log grew to %d", err, last)
	}
	dir, _ := putFile(t, copied.Bytes())
	wantLast(t, dir, 1000)
	b := open(t, dir)
	defer func() { _ = b.Close() }()
	if snap, ok, err := b.LoadSnapshot(ctx); err != nil || !ok || string(snap.Data) != "state" || b.Site() != s.Site() {
		t.Errorf("the backup of site %q has site %q, snapshot %q, %v, %v", s.Site(), b.Site(), snap.Data, ok, err)
	}
	full := errors.New("the stick is full")
	if err := s.Backup(writerFunc(func([]byte) (int, error) { return 0, full })); err == nil || !strings.Contains(err.Error(), full.Error()) {
		t.Errorf("Backup to a full stick: %v", err)
	}
	if _, err := s.Append(ctx, last, payloads(last+1, last+1)); err != nil {
		t.Errorf("Append after a failed backup: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Appends pass a snapshot that is being saved.
func TestAppendsBesideASnapshot(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Append(ctx, 0, payloads(1, 1)); err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	saved := make(chan error, 1)
	go func() { saved <- s.SaveSnapshot(ctx, store.Snapshot{Seq: 1, Data: big}) }()
	last, during := uint64(1), 0
	for saving := true; saving; {
		next, err := s.Append(ctx, last, payloads(last+1, last+1))
		if err != nil {
			t.Fatal(err)
		}
		last = next
		select {
		case err := <-saved:
			if err != nil {
				t.Fatal(err)
			}
			saving = false
		default:
			during++
		}
	}
	if during == 0 {
		t.Error("no append was let through while the snapshot was saved")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantLast(t, dir, last)
	s = open(t, dir)
	defer func() { _ = s.Close() }()
	if snap, ok, err := s.LoadSnapshot(ctx); err != nil || !ok || !bytes.Equal(snap.Data, big) {
		t.Errorf("LoadSnapshot: %d bytes, %v, %v", len(snap.Data), ok, err)
	}
}
