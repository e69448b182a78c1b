package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/pkg/store"
)

// InUseError reports that another process has the log open.
type InUseError struct {
	Path    string
	PID     int    // 0 when it could not be found out
	Command string // its name, "" when unknown
}

func (e *InUseError) Error() string {
	switch {
	case e.PID == 0:
		return fmt.Sprintf("%s is in use by another process; stop that one, or give another --state", e.Path)
	case e.Command == "":
		return fmt.Sprintf("%s is in use by process %d; stop that one, or give another --state", e.Path, e.PID)
	default:
		return fmt.Sprintf("%s is in use by %s (process %d); stop that one, or give another --state", e.Path, e.Command, e.PID)
	}
}

// create makes an empty log at path unless there is a file. The file appears
// complete or not at all, so that an empty one is always a sign of damage.
func create(ctx context.Context, path string, o Options) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the state directory: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the state directory: %w", err)
	}
	defer func() { _ = d.Close() }()
	if err := lock(ctx, d, o.LockTimeout); err != nil {
		return fmt.Errorf("locking the state directory %s: %w", dir, err)
	}
	if _, err := os.Lstat(path); err == nil { // another process was faster
		return nil
	}
	if err := createIn(d, path, o); err != nil {
		if isNoSpace(err) {
			return fmt.Errorf("%w: creating %s: %w; free space on that disk and start again", store.ErrNoSpace, path, err)
		}
		return fmt.Errorf("creating %s: %w", path, err)
	}
	return nil
}

func createIn(dir *os.File, path string, o Options) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(temp, 0o600, &bbolt.Options{Timeout: o.LockTimeout})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error { return initialise(tx, o) })
	if err = errors.Join(err, db.Close()); err != nil {
		_ = os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return dir.Sync()
}

// openLocked opens the file for this process alone.
func openLocked(ctx context.Context, path string, timeout time.Duration) (*os.File, error) {
	// O_NONBLOCK: a FIFO in the place of the file must not hang the daemon.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the event log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &store.ForeignError{Path: path, Found: "it is not a regular file", Do: doForeign}
	}
	if err == nil {
		err = lock(ctx, f, timeout)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		pid := lockHolder(info)
		err = &InUseError{Path: path, PID: pid, Command: commandOf(pid)}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// lock takes an exclusive flock, which belongs to the open file: bbolt gets
// this very file and finds it locked. After timeout the error is EWOULDBLOCK.
func lock(ctx context.Context, f *os.File, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || (!errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR)) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return err
		case <-retry.C:
		}
	}
}

// lockHolder finds the process that holds a flock on the file, from
// /proc/locks ("1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF").
func lockHolder(info os.FileInfo) int {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	want := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != want {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}

func commandOf(pid int) string {
	if pid == 0 {
		return ""
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
