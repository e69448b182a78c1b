// Package store defines the event log that every other truth in Rackseed is
// folded from: an append-only sequence of opaque records, guarded by
// optimistic concurrency, with snapshots beside it to shorten the fold.
//
// Two implementations exist: store/bolt keeps the log in one file, store/mem
// keeps it in memory for tests and the demo. Both pass store/storetest. Watch
// and Lead, which let several daemons share one log, come with the etcd store:
// until then they would have a single real implementation and no user.
package store

import (
	"context"
	"errors"
	"fmt"
)

// Record is one entry of the log. The first record has Seq 1 and there are no
// gaps. Data may be empty; the log does not look inside.
type Record struct {
	Seq  uint64
	Data []byte
}

// Snapshot is the folded state after the record Seq. It is a cache: losing one
// costs time, never data.
type Snapshot struct {
	Seq  uint64
	Data []byte
	// Skipped says why a newer snapshot was passed over by LoadSnapshot, nil
	// when none was. SaveSnapshot ignores it.
	Skipped error
}

// Log is the event log of one site. All methods may be called concurrently,
// and Append may be called from inside a Read callback.
//
// Errors are ErrConflict, ErrSnapshotSeq, ErrNoSpace, ErrFailed, ErrClosed,
// *CorruptError, and the context's error, which Append returns only when nothing
// was written.
type Log interface {
	// Append writes recs as guard+1, guard+2, … if and only if the last
	// sequence is guard, and returns the new last sequence; otherwise it
	// returns ErrConflict. It writes all of recs or none, and they are on
	// stable storage when it returns nil. The caller may reuse recs at once.
	// After ErrFailed alone it is unknown whether recs were written: reopen
	// and look. Empty recs check the guard and write nothing.
	Append(ctx context.Context, guard uint64, recs [][]byte) (last uint64, err error)

	// Read calls fn in order for every record with Seq > after that existed
	// when Read was called. It stops at the first error of fn and returns it,
	// or nil when that error is ErrStop. Data is valid only during the call of
	// fn and must not be changed.
	Read(ctx context.Context, after uint64, fn func(Record) error) error

	// Last returns the sequence of the newest record, 0 for an empty log.
	Last(ctx context.Context) (uint64, error)

	// SaveSnapshot keeps s durably and drops all but the newest two. s.Seq
	// must not be beyond the end of the log, nor older than the newest
	// snapshot kept; saving the same Seq again replaces it.
	SaveSnapshot(ctx context.Context, s Snapshot) error

	// LoadSnapshot returns the newest snapshot that is intact, and false when
	// there is none. Damage is not an error here, because the log can be
	// folded from further back: Snapshot.Skipped reports it.
	LoadSnapshot(ctx context.Context) (Snapshot, bool, error)

	// Close waits for calls in progress and releases the log. Later calls
	// return ErrClosed; closing again does nothing.
	Close() error
}

var (
	// ErrConflict means that the last sequence was not the guard: somebody
	// else appended. Read the new records, decide again, and retry.
	ErrConflict = errors.New("the log has moved on")

	// ErrClosed means that Close was called.
	ErrClosed = errors.New("the log is closed")

	// ErrFailed means that the medium stopped keeping its promise (a failed
	// fsync, an unknown write error). Whatever the kernel held back is lost
	// and cannot be written again, so everything is refused until the log is
	// reopened and checked.
	ErrFailed = errors.New("the log has failed")

	// ErrNoSpace means that the write did not happen because the disk or the
	// quota is full. The log is intact; the same call may be tried again.
	ErrNoSpace = errors.New("no space left for the log")

	// ErrStop is returned by a Read callback to end the reading early.
	ErrStop = errors.New("stop reading")

	// ErrSnapshotSeq means that a snapshot was beyond the end of the log or
	// older than one already kept.
	ErrSnapshotSeq = errors.New("snapshot sequence out of order")
)

// CorruptError reports that a log (or a snapshot) is torn or damaged. Nothing
// was changed.
type CorruptError struct {
	Path  string // the file
	Found string // what is wrong, as a clause: "page 7 is out of bounds"
	Do    string // the operator's next step
}

func (e *CorruptError) Error() string { return sentence(e.Path+" is damaged", e.Found, e.Do) }

// ForeignError reports a file that is not a log of this site and version.
// Nothing was changed.
type ForeignError struct {
	Path  string // the file
	Found string // what it is instead, as a clause
	Do    string // the operator's next step
}

func (e *ForeignError) Error() string {
	return sentence(e.Path+" is not a log that can be used here", e.Found, e.Do)
}

func sentence(what, found, do string) string {
	if do == "" {
		return fmt.Sprintf("%s: %s", what, found)
	}
	return fmt.Sprintf("%s: %s; %s", what, found, do)
}
