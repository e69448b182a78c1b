package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/pkg/store"
)

// cleanCheckTime bounds the inspection of a file that was closed cleanly,
// where only the disk itself can have done damage.
const cleanCheckTime = 250 * time.Millisecond

// inspect reads the file before bbolt maps it, and returns whose log it is.
//
// bbolt's own check runs in a goroutine of its own in which a garbage page
// number faults beyond recovery, knows nothing of time, and does not mind a
// damaged meta page, behind which it silently forgets the last commit. The
// layout is that of bbolt's internal/common (format version 2).
func inspect(ctx context.Context, f *os.File, path string, o Options) (identity, error) {
	info, err := f.Stat()
	if err != nil {
		return identity{}, fmt.Errorf("inspecting the event log: %w", err)
	}
	p := &pager{ctx: ctx, f: f, path: path, size: info.Size()}
	m, err := p.readMeta()
	if err != nil {
		return identity{}, err
	}
	id, err := p.identity(m, o.Site)
	if err != nil {
		return identity{}, err
	}
	limit := min(o.CheckTime, cleanCheckTime)
	if !id.clean {
		limit = o.CheckTime
		if err := forgetCache(f); err != nil {
			return identity{}, fmt.Errorf("inspecting the event log: %w", err)
		}
	}
	if err := p.check(m, limit); err != nil {
		return identity{}, err
	}
	if p.skipped && !id.clean {
		o.Log.Warn("the event log was not closed cleanly and is too large to check at start; it is checked as it is read",
			"file", path, "bytes", p.size, "limit", o.CheckTime)
	}
	return id, nil
}

// forgetCache makes what follows read the disk. After a failed fsync the
// kernel holds pages in memory, marked clean, that the disk never got.
func forgetCache(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	// Best effort: not every file system can.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	return nil
}

const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeaderSize  = 16
	pageElementSize = 16
	metaSize        = 64
	bucketSize      = 16
	minPageSize     = 1 << 10
	maxPageSize     = 1 << 16
	maxDepth        = 64

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10
	flagBucket   = 0x01 // of a leaf element

	noFreelist = ^uint64(0)
)

var native = binary.NativeEndian // bbolt writes its structures as they are in memory

// meta is a bbolt meta page.
type meta struct {
	pageSize  uint32
	root      uint64
	freelist  uint64
	highWater uint64 // pages in use are below it
	txid      uint64
}

type metaState int

const (
	metaGood metaState = iota
	metaDamaged
	metaNewer // another version of bbolt's file format
	metaNone  // nothing that looks like one
)

// parseMeta reads a meta page from its start.
func parseMeta(page []byte) (meta, metaState) {
	if len(page) < pageHeaderSize+metaSize {
		return meta{}, metaNone
	}
	b := page[pageHeaderSize:]
	if native.Uint32(b) != boltMagic {
		return meta{}, metaNone
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56])
	m := meta{
		pageSize:  native.Uint32(b[8:]),
		root:      native.Uint64(b[16:]),
		freelist:  native.Uint64(b[32:]),
		highWater: native.Uint64(b[40:]),
		txid:      native.Uint64(b[48:]),
	}
	size := m.pageSize
	switch {
	case sum.Sum64() != native.Uint64(b[56:]):
		return m, metaDamaged
	case native.Uint32(b[4:]) != boltVersion:
		return m, metaNewer
	case native.Uint16(page[8:]) != flagMeta, size < minPageSize, size > maxPageSize, size&(size-1) != 0:
		return m, metaDamaged
	}
	return m, metaGood
}

// pager reads the pages of one file and remembers what it has seen.
type pager struct {
	ctx  context.Context
	f    io.ReaderAt
	path string
	size int64

	pageSize  uint64
	highWater uint64
	used      []byte // by page: seenUsed, seenFree

	deadline  time.Time // for the records; zero: none
	leafDepth int       // where the tree has its leaves, once one was seen
	skipped   bool      // for want of time

	window   []byte // what was read last, from windowAt on
	windowAt int64
}

const (
	seenUsed = 1
	seenFree = 2
)

func (p *pager) corrupt(format string, args ...any) error {
	return corrupt(p.path, fmt.Sprintf(format, args...))
}

// windowSize is how much is read at once: the newest-first order of the check
// runs against the read-ahead of the kernel, which makes a disk five times slower.
const windowSize = 256 << 10

// read returns a copy of n bytes at off, fewer at the end of the file.
func (p *pager) read(off int64, n int) ([]byte, error) {
	in := func() bool { return off >= p.windowAt && off+int64(n) <= p.windowAt+int64(len(p.window)) }
	if n > windowSize {
		return p.readAt(off, make([]byte, n))
	}
	if !in() {
		if cap(p.window) == 0 {
			p.window = make([]byte, windowSize)
		}
		p.windowAt = off - off%windowSize
		if off+int64(n) > p.windowAt+windowSize {
			p.windowAt = off
		}
		var err error
		if p.window, err = p.readAt(p.windowAt, p.window[:windowSize]); err != nil {
			return nil, err
		}
	}
	start := min(off-p.windowAt, int64(len(p.window)))
	return bytes.Clone(p.window[start:min(start+int64(n), int64(len(p.window)))]), nil
}

func (p *pager) readAt(off int64, buf []byte) ([]byte, error) {
	got, err := p.f.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s at byte %d: %w; look for disk errors (dmesg)", p.path, off, err)
	}
	return buf[:got], nil
}

// readMeta returns the newer of the two meta pages. Both are always good in a
// file that bbolt wrote, even after a crash: each is written in one sector,
// and only after all that it refers to is on the disk.
func (p *pager) readMeta() (meta, error) {
	if p.size == 0 {
		return meta{}, p.corrupt("it is empty")
	}
	head, err := p.read(0, pageHeaderSize+metaSize)
	if err != nil {
		return meta{}, err
	}
	m0, state0 := parseMeta(head)
	m1, state1 := meta{}, metaNone
	sizes := []uint32{m0.pageSize}
	if state0 != metaGood {
		sizes = []uint32{1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16}
	}
	for _, size := range sizes {
		page, err := p.read(int64(size), pageHeaderSize+metaSize)
		if err != nil {
			return meta{}, err
		}
		if m1, state1 = parseMeta(page); state1 != metaNone {
			break
		}
	}
	switch {
	case state0 == metaNewer || state1 == metaNewer:
		return meta{}, &store.ForeignError{Path: p.path, Found: "it has another version of the bbolt format",
			Do: "run the version of rackseed that wrote it, or give another --state"}
	case state0 == metaNone && state1 == metaNone:
		return meta{}, p.notBolt(head)
	case state0 != metaGood:
		return meta{}, p.corrupt("meta page 0 is damaged")
	case state1 != metaGood:
		return meta{}, p.corrupt("meta page 1 is damaged")
	case m0.pageSize != m1.pageSize || m0.txid+1 != m1.txid && m1.txid+1 != m0.txid:
		return meta{}, p.corrupt("its two meta pages do not belong together")
	}
	m := m0
	if m1.txid > m0.txid {
		m = m1
	}
	p.pageSize, p.highWater = uint64(m.pageSize), m.highWater
	if m.highWater > uint64(p.size)/p.pageSize {
		return meta{}, p.corrupt("it is cut off: it has %d bytes and its pages need %d", p.size, m.highWater*p.pageSize)
	}
	return m, nil
}

// notBolt tells a torn log from a file of another kind.
func (p *pager) notBolt(head []byte) error {
	if len(bytes.Trim(head, "\x00")) == 0 {
		return p.corrupt("it begins with zeros")
	}
	return &store.ForeignError{Path: p.path, Do: doForeign,
		Found: fmt.Sprintf("it is not a bbolt database (it begins with %q)", head[:min(16, len(head))])}
}

// identity finds the meta bucket and reads it.
func (p *pager) identity(m meta, site string) (identity, error) {
	p.used = make([]byte, m.highWater)
	found := make(map[string][]byte)
	err := p.bucket(bucketRef{root: m.root}, func(e element) error {
		if !e.bucket || !bytes.Equal(e.key, bucketMeta) {
			return nil
		}
		ref, err := p.parseBucket(e.value)
		if err != nil {
			return err
		}
		return p.bucket(ref, func(e element) error {
			found[string(e.key)] = bytes.Clone(e.value)
			return nil
		})
	})
	if err != nil {
		return identity{}, err
	}
	return identify(p.path, found, site)
}

// check visits every page, the newest records first. The limit is only for
// the pages that hold records. The rest is small, and damage there would send
// bbolt in circles or let it write where it should not.
func (p *pager) check(m meta, limit time.Duration) error {
	p.used = make([]byte, m.highWater)
	if err := p.freelist(m); err != nil {
		return err
	}
	var log bucketRef
	err := p.bucket(bucketRef{root: m.root}, func(e element) (err error) {
		if e.bucket && bytes.Equal(e.key, bucketLog) {
			log, err = p.parseBucket(bytes.Clone(e.value))
			return err
		}
		return p.checkElement(e)
	})
	if err != nil {
		return err
	}
	if log.root == 0 && log.inline == nil {
		return p.corrupt("the bucket of the log is missing")
	}
	p.deadline, p.leafDepth = time.Now().Add(limit), 0
	if err := p.bucket(log, p.checkRecord); err != nil || p.skipped {
		return err
	}
	for id := uint64(2); id < m.highWater; id++ {
		if p.used[id] == 0 {
			return p.corrupt("page %d is neither used nor free", id)
		}
	}
	return nil
}

func (p *pager) checkElement(e element) error {
	if !e.bucket {
		return nil
	}
	ref, err := p.parseBucket(e.value)
	if err != nil {
		return err
	}
	return p.bucket(ref, p.checkElement)
}

func (p *pager) checkRecord(e element) error {
	if e.bucket {
		return p.corrupt("there is a bucket among the records")
	}
	if _, _, err := decodeRecord(e.key, e.value); err != nil {
		return p.corrupt("%v", err)
	}
	return nil
}

// freelist marks the free pages.
func (p *pager) freelist(m meta) error {
	if m.freelist == noFreelist {
		return p.corrupt("its list of free pages is missing")
	}
	page, err := p.page(m.freelist, flagFreelist)
	if err != nil {
		return err
	}
	count, ids := uint64(native.Uint16(page[10:])), page[pageHeaderSize:]
	if count == 0xFFFF { // the true count did not fit in the header
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return p.corrupt("page %d: its list of free pages is too long", m.freelist)
	}
	for i := range count {
		id := native.Uint64(ids[8*i:])
		if id < 2 || id >= p.highWater || p.used[id] != 0 {
			return p.corrupt("page %d: its list of free pages is damaged", m.freelist)
		}
		p.used[id] = seenFree
	}
	return nil
}
