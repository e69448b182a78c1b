// Package bolt keeps a store.Log in one bbolt file, rackseed.db.
//
// The file has three buckets: "meta" says whose log it is, "log" has one key
// per record (the sequence, big-endian; the value ends in a CRC-32C of both),
// "snapshots" one bucket per snapshot. A record per key was measured against
// one blob per commit: the blob is a fifth faster but writes three times the
// bytes, which costs more than it gains on the disks laptops have.
//
// bbolt alone is not enough to trust the file. It accepts the next transaction
// after a failed fsync, falls back to the previous commit when a meta page is
// damaged, and faults on a garbage page. So a Store latches the first error
// that it cannot explain, and inspects the file before bbolt maps it.
package bolt

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rackseed/rackseed/pkg/store"
)

// FileName is the name of the log inside the state directory.
const FileName = "rackseed.db"

const (
	logMagic  = "rackseed log"
	logFormat = 1
)

var (
	bucketMeta      = []byte("meta")
	bucketLog       = []byte("log")
	bucketSnapshots = []byte("snapshots")

	keyMagic   = []byte("magic")
	keyFormat  = []byte("format")
	keyCreated = []byte("created")
	keySite    = []byte("site")
	keyClean   = []byte("clean") // "yes" between Close and the first write after Open

	yes = []byte("yes")
	no  = []byte("no")
)

// Options are optional; the zero value is what the daemon uses.
type Options struct {
	// Site names the site of a new log, and refuses the log of another one.
	// Empty: a new log gets a random id and any site is accepted.
	Site string
	// LockTimeout is how long to wait for another process that has the log
	// open. Zero means one second.
	LockTimeout time.Duration
	// CheckTime bounds the inspection after a close that was not clean, as
	// after a crash. Zero means 30 seconds. What was not reached in time is
	// still verified when it is read.
	CheckTime time.Duration
	Log       *slog.Logger     // nil: slog.Default
	Now       func() time.Time // nil: time.Now
	Rand      io.Reader        // for the site id; nil: crypto/rand
}

func (o Options) withDefaults() Options {
	if o.LockTimeout == 0 {
		o.LockTimeout = time.Second
	}
	if o.CheckTime == 0 {
		o.CheckTime = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return o
}

// Store is a store.Log in one file. Use Open.
type Store struct {
	path    string
	site    string
	created time.Time
	log     *slog.Logger
	db      *bbolt.DB
	file    *os.File // the one bbolt uses; it carries the lock

	gate   sync.RWMutex // held shared by every transaction, exclusively by Close
	closed bool         // under gate

	write sync.Mutex // one writer; guards dirty
	dirty bool       // the file says "not clean"
	last  atomic.Uint64

	saving sync.Mutex // one SaveSnapshot at a time

	failed atomic.Pointer[error]
	wedged atomic.Bool // bbolt panicked and may hold its locks for ever
}

var _ store.Log = (*Store)(nil)

// Open opens the log in dir, creating both when they are missing.
//
// Errors: *InUseError when another process has it, *store.CorruptError for a
// torn or damaged file, *store.ForeignError for a file of another program,
// format or site, store.ErrNoSpace. No error changes an existing file.
func Open(ctx context.Context, dir string, o Options) (_ *Store, err error) {
	o = o.withDefaults()
	path := filepath.Join(dir, FileName)
	if err := create(ctx, path, o); err != nil {
		return nil, err
	}
	f, err := openLocked(ctx, path, o.LockTimeout)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	id, err := inspect(ctx, f, path, o)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, site: id.site, created: id.created, log: o.Log, file: f, dirty: !id.clean}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// open hands the locked and inspected file to bbolt and finds the end of the log.
func (s *Store) open() error {
	opts := &bbolt.Options{
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return s.file, nil },
	}
	if strconv.IntSize == 64 {
		// Address space only. Without it, a growing log is mapped anew at each
		// doubling, which waits for every reader: a backup to a slow disk would
		// hold up the leases.
		opts.InitialMmapSize = 1 << 30
	}
	var last uint64
	err := s.guarded(func() (err error) {
		if s.db, err = bbolt.Open(s.path, 0o600, opts); err != nil {
			return s.corrupt(err.Error())
		}
		return s.db.View(func(tx *bbolt.Tx) error {
			last, err = s.end(tx)
			return err
		})
	})
	if err != nil {
		if s.db != nil && !s.wedged.Load() {
			_ = s.db.Close()
		}
		return err
	}
	s.last.Store(last)
	return nil
}

// end returns the last sequence, which the log bucket knows twice.
func (s *Store) end(tx *bbolt.Tx) (uint64, error) {
	b := tx.Bucket(bucketLog)
	if b == nil || tx.Bucket(bucketSnapshots) == nil {
		return 0, s.corrupt("a bucket is missing")
	}
	key, value := b.Cursor().Last()
	if key == nil {
		if b.Sequence() != 0 {
			return 0, s.corrupt(fmt.Sprintf("the log is empty and should end with record %d", b.Sequence()))
		}
		return 0, nil
	}
	seq, _, err := decodeRecord(key, value)
	if err != nil {
		return 0, s.corrupt(err.Error())
	}
	if seq != b.Sequence() {
		return 0, s.corrupt(fmt.Sprintf("the log ends with record %d and should end with %d", seq, b.Sequence()))
	}
	return seq, nil
}

// Path returns the path of the file.
func (s *Store) Path() string { return s.path }

// Site returns the id of the site that the log belongs to.
func (s *Store) Site() string { return s.site }

// Created returns when the log was created.
func (s *Store) Created() time.Time { return s.created }

// Close waits for transactions in progress, marks the file as cleanly closed
// and releases it. A log that has failed is released as it is, so that the
// next Open inspects it.
func (s *Store) Close() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.wedged.Load() {
		return s.file.Close()
	}
	var err error
	if s.dirty && s.failed.Load() == nil {
		err = s.commit(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyClean, yes) })
		if errors.Is(err, store.ErrNoSpace) {
			err = nil // only the next Open is slower
		}
	}
	return errors.Join(err, s.db.Close())
}

// Backup writes a complete copy of the log as it is now, which can be put in
// the place of the original. Appends go on meanwhile.
func (s *Store) Backup(w io.Writer) error {
	return s.view(func(tx *bbolt.Tx) error {
		if _, err := tx.WriteTo(w); err != nil {
			return fmt.Errorf("copying %s: %w", s.path, err)
		}
		return nil
	})
}

// initialise makes an empty database a log.
func initialise(tx *bbolt.Tx, o Options) error {
	site := o.Site
	if site == "" {
		var id [16]byte
		if _, err := io.ReadFull(o.Rand, id[:]); err != nil {
			return fmt.Errorf("making a site id: %w", err)
		}
		site = hex.EncodeToString(id[:])
	}
	for _, name := range [][]byte{bucketLog, bucketSnapshots} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta, err := tx.CreateBucket(bucketMeta)
	if err != nil {
		return err
	}
	return errors.Join(
		meta.Put(keyMagic, []byte(logMagic)),
		meta.Put(keyFormat, binary.BigEndian.AppendUint32(nil, logFormat)),
		meta.Put(keyCreated, []byte(o.Now().UTC().Format(time.RFC3339))),
		meta.Put(keySite, []byte(site)),
		meta.Put(keyClean, yes),
	)
}

// identity is what the meta bucket says.
type identity struct {
	site    string
	created time.Time
	clean   bool
}

// identify decides from the meta bucket whether the file is a log for us.
func identify(path string, meta map[string][]byte, site string) (identity, error) {
	foreign := func(found, do string) error {
		return &store.ForeignError{Path: path, Found: found, Do: do}
	}
	if string(meta[string(keyMagic)]) != logMagic {
		return identity{}, foreign("it is a bbolt database of another program", doForeign)
	}
	format := meta[string(keyFormat)]
	if len(format) != 4 {
		return identity{}, corrupt(path, "it does not say its format")
	}
	if v := binary.BigEndian.Uint32(format); v != logFormat {
		return identity{}, foreign(fmt.Sprintf("it has format %d and this version reads format %d", v, logFormat),
			"run the version of rackseed that wrote it, or give another --state")
	}
	id := identity{site: string(meta[string(keySite)]), clean: bytes.Equal(meta[string(keyClean)], yes)}
	if site != "" && id.site != site {
		return identity{}, foreign(fmt.Sprintf("it belongs to site %q, not %q", id.site, site), "give the --state of this site")
	}
	created, err := time.Parse(time.RFC3339, string(meta[string(keyCreated)]))
	if err != nil {
		return identity{}, corrupt(path, "its creation time does not parse")
	}
	id.created = created
	return id, nil
}
