package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
)

// One log lives through many sudden deaths.
func TestKillAtRandomMoments(t *testing.T) {
	kills := 60
	if testing.Short() {
		kills = 10
	}
	dir := tempDir(t)
	rng := rand.New(rand.NewPCG(1, uint64(kills)))
	for range kills {
		after, delay := rng.IntN(25), time.Duration(rng.IntN(2000))*time.Microsecond
		seen := 0
		var fuse *time.Timer
		r := runWriter(t, nil, dir, 0, 1, func(p *os.Process, _ uint64) {
			if seen++; seen == after+1 {
				fuse = time.AfterFunc(delay, func() { _ = p.Kill() })
			}
		})
		if fuse == nil || len(r.lines) > 0 {
			t.Fatalf("the writer was not killed: %v\n%s", r.lines, r.stderr)
		}
		wantLog(t, dir, r.acked)
	}
}

// strace returns a command that makes system calls fail.
func strace(t *testing.T, inject string) []string {
	t.Helper()
	name, _, _ := strings.Cut(inject, ":")
	return []string{stracePath(t), "-f", "-qq", "-o", os.DevNull, "-e", "trace=" + name, "-e", "inject=" + inject}
}

func stracePath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: apt install strace")
	}
	if out, err := exec.Command(path, "-o", os.DevNull, "-e", "trace=none", "true").CombinedOutput(); err != nil {
		t.Skipf("needs permission to trace: %s", out)
	}
	return path
}

// Death exactly at each of the first syncs, and so at every phase of a commit.
func TestKillAtEachSync(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 7
	}
	for when := 1; when <= 40; when += step {
		// While the file is being created there is none, or the whole of it.
		dir := tempDir(t)
		r := runWriter(t, strace(t, fmt.Sprintf("fdatasync:signal=KILL:when=%d", when)), dir, 100, 1, nil)
		if len(r.lines) > 0 {
			t.Fatalf("sync %d: the writer was not killed: %v", when, r.lines)
		}
		wantLog(t, dir, r.acked)
	}
}

// bbolt would go on after a failed sync; the store must not.
func TestSyncErrorIsFatal(t *testing.T) {
	for _, inject := range []string{
		"fdatasync:error=EIO:when=1", "fdatasync:error=EIO:when=2",
		"fdatasync:error=EIO:when=7", "fdatasync:error=EIO:when=8",
		"fsync:error=EIO:when=1", // bbolt calls fsync when it grows the file
	} {
		t.Run(inject, func(t *testing.T) {
			dir := tempDir(t)
			before := runWriter(t, nil, dir, 1, 1, nil)
			if err := os.Truncate(filepath.Join(dir, bolt.FileName), 64<<10); err != nil { // make it grow again
				t.Fatal(err)
			}
			r := runWriter(t, strace(t, inject), dir, 200, 5, nil)
			if want := append(slices.Repeat([]string{"err failed"}, 5), "closed"); !slices.Equal(r.lines, want) {
				t.Fatalf("the writer said %q, want five refusals\n%s", r.lines, r.stderr)
			}
			for _, want := range []string{"level=ERROR", "the event log has failed", "input/output error", bolt.FileName, "dmesg"} {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("the message lacks %q:\n%s", want, r.stderr)
				}
			}
			if n := strings.Count(r.stderr, "level=ERROR"); n != 1 {
				t.Errorf("the failure was logged %d times, want once", n)
			}
			wantLog(t, dir, max(before.acked, r.acked))
		})
	}
}

// A sync that reports a full disk has lost data all the same.
func TestNoSpaceOnSyncIsFatal(t *testing.T) {
	dir := tempDir(t)
	r := runWriter(t, strace(t, "fdatasync:error=ENOSPC:when=9"), dir, 200, 3, nil)
	if want := []string{"err failed", "err failed", "err failed"}; !slices.Equal(r.lines[:min(3, len(r.lines))], want) {
		t.Errorf("the writer said %q, want %q\n%s", r.lines, want, r.stderr)
	}
	wantLog(t, dir, r.acked)
}

func TestWriteErrors(t *testing.T) {
	for _, test := range []struct {
		name, inject string
		want         string
		recovers     bool
	}{
		{"full disk at a data page", "pwrite64:error=ENOSPC:when=8", "err no space", true},
		{"full disk at every page of a commit and its meta page", "pwrite64:error=ENOSPC:when=8..13", "err no space", true},
		{"quota", "pwrite64:error=EDQUOT:when=9..10", "err no space", true},
		{"bad sector", "pwrite64:error=EIO:when=9", "err failed", false},
		{"unknown", "pwrite64:error=EPERM:when=9", "err failed", false},
		{"full disk when growing the file", "ftruncate:error=ENOSPC:when=2", "err no space", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := tempDir(t)
			r := runWriter(t, strace(t, test.inject), dir, 30, 10, nil)
			if len(r.lines) == 0 || r.lines[0] != test.want {
				t.Fatalf("the writer said %q, want %q first\n%s", r.lines, test.want, r.stderr)
			}
			if got := r.lines[len(r.lines)-1] == "closed" && r.acked >= 30*batch; got != test.recovers {
				t.Errorf("recovered = %v, want %v: %q\n%s", got, test.recovers, r.lines, r.stderr)
			}
			if test.recovers && !strings.Contains(r.stderr, "free space on that disk") {
				t.Errorf("the message does not say what to do:\n%s", r.stderr)
			}
			last := wantLog(t, dir, r.acked)
			if test.recovers && last != r.acked {
				t.Errorf("the log ends at %d, acknowledged were %d: a refused append was written", last, r.acked)
			}
		})
	}
}

// A file system that is really full, and then is not.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a small tmpfs")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("needs permission to mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 200<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	s := open(t, dir)
	last, err := uint64(0), error(nil)
	for err == nil {
		var next uint64
		if next, err = s.Append(ctx, last, payloads(last+1, last+batch)); err == nil {
			last = next
		}
	}
	if !errors.Is(err, store.ErrNoSpace) || !strings.Contains(err.Error(), s.Path()) {
		t.Fatalf("Append on a full disk: %v, want ErrNoSpace and the file", err)
	}
	if got, err := readAndVerify(s); got != last || err != nil {
		t.Fatalf("on a full disk the log ends at %d, %v, want %d", got, err, last)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if last, err = s.Append(ctx, last, payloads(last+1, last+batch)); err != nil {
		t.Fatalf("Append with space again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantLog(t, dir, last)
}
