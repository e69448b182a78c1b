package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/rackseed/rackseed/pkg/store"
)

const (
	doForeign = "give another --state, or move it aside"
	doFailed  = "stop the daemon, look for disk errors (dmesg), free or replace the disk, and start it again: it will check the log"
	doNoSpace = "free space on that disk; nothing was written and the daemon will go on by itself"
)

func corrupt(path, found string) error {
	return &store.CorruptError{Path: path, Found: found, Do: fmt.Sprintf(
		"nothing was changed: stop the daemon, move the file aside (mv %[1]s %[1]s.damaged) and put a backup in its place; without a backup the daemon starts with an empty log",
		path)}
}

func (s *Store) corrupt(found string) error { return corrupt(s.path, found) }

// usable is called with the gate held.
func (s *Store) usable() error {
	if s.closed {
		return store.ErrClosed
	}
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// view runs one read transaction.
func (s *Store) view(fn func(*bbolt.Tx) error) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	return s.guarded(func() error { return s.db.View(fn) })
}

// commit runs one write transaction and decides what its failure means. The
// caller holds the gate and, unless it is Close, the write lock.
func (s *Store) commit(fn func(*bbolt.Tx) error) error {
	return s.guarded(func() error {
		var rejected error // fn refused: rolled back before anything was written
		err := s.db.Update(func(tx *bbolt.Tx) error {
			rejected = fn(tx)
			return rejected
		})
		switch {
		case err == nil || rejected != nil:
			return err
		case isNoSpace(err):
			return fmt.Errorf("%w: writing %s: %w; %s", store.ErrNoSpace, s.path, err, doNoSpace)
		default:
			return s.fail(err)
		}
	})
}

// isNoSpace accepts only errors of a write that was refused before bbolt
// changed the meta page. The same errno from an fsync is another matter: what
// the kernel had accepted is lost.
func isNoSpace(err error) bool {
	full := func(e error) bool { return errors.Is(e, syscall.ENOSPC) || errors.Is(e, syscall.EDQUOT) }
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Op == "write" && full(pe.Err)
	}
	// bbolt flattens the error of growing the file, which comes before any write.
	msg, resize := strings.CutPrefix(err.Error(), "file resize error: ")
	return resize && (strings.HasSuffix(msg, syscall.ENOSPC.Error()) || strings.HasSuffix(msg, syscall.EDQUOT.Error()))
}

// fail latches the first error that breaks the promise of the log.
func (s *Store) fail(cause error) error {
	err := fmt.Errorf("%w: %s can no longer be trusted to keep what is written (%w); %s",
		store.ErrFailed, s.path, cause, doFailed)
	if s.failed.CompareAndSwap(nil, &err) {
		s.log.Error("the event log has failed; nothing new is accepted", "file", s.path, "err", cause, "do", doFailed)
	}
	return err
}

// guarded turns the panics and memory faults of bbolt on a damaged page into
// an error. bbolt does not release its locks then, so the store is given up.
func (s *Store) guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			s.wedged.Store(true)
			err = s.fail(s.corrupt(fmt.Sprint(r)))
		}
	}()
	return fn()
}
