package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/rackseed/rackseed/pkg/store"
)

// fillPercent packs the pages, because keys only ever arrive at the end.
const fillPercent = 0.97

// Append implements store.Log.
func (s *Store) Append(ctx context.Context, guard uint64, recs [][]byte) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	if err := s.usable(); err != nil {
		return 0, err
	}
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.usable(); err != nil {
		return 0, err
	}
	last := s.last.Load()
	if last != guard {
		return 0, fmt.Errorf("%w: last sequence is %d, guard %d", store.ErrConflict, last, guard)
	}
	if len(recs) == 0 {
		return last, nil
	}
	if err := s.commit(func(tx *bbolt.Tx) error { return s.put(tx, last, recs) }); err != nil {
		return 0, err
	}
	s.dirty = true
	last += uint64(len(recs))
	s.last.Store(last)
	return last, nil
}

func (s *Store) put(tx *bbolt.Tx, last uint64, recs [][]byte) error {
	if err := s.markDirty(tx); err != nil {
		return err
	}
	size := 0
	for _, r := range recs {
		size += 8 + len(r) + crcSize
	}
	buf := make([]byte, 0, size) // bbolt keeps the values until the commit
	b := tx.Bucket(bucketLog)
	b.FillPercent = fillPercent
	for _, r := range recs {
		last++
		start := len(buf)
		buf = binary.BigEndian.AppendUint64(buf, last)
		buf = append(buf, r...)
		buf = binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf[start:], castagnoli()))
		if err := b.Put(buf[start:start+8], buf[start+8:len(buf):len(buf)]); err != nil {
			return fmt.Errorf("adding record %d of %d bytes: %w", last, len(r), err)
		}
	}
	return b.SetSequence(last)
}

// markDirty rides on the first write after Open, so that opening writes nothing.
func (s *Store) markDirty(tx *bbolt.Tx) error {
	if s.dirty {
		return nil
	}
	return tx.Bucket(bucketMeta).Put(keyClean, no)
}

const crcSize = 4

// castagnoli is made at its first use, which most commands have not.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// decodeRecord verifies a key and value of the log bucket.
func decodeRecord(key, value []byte) (seq uint64, data []byte, err error) {
	if len(key) != 8 || len(value) < crcSize {
		return 0, nil, errors.New("a key of the log is not a record")
	}
	seq = binary.BigEndian.Uint64(key)
	data = value[:len(value)-crcSize]
	sum := crc32.Update(crc32.Checksum(key, castagnoli()), castagnoli(), data)
	if sum != binary.BigEndian.Uint32(value[len(data):]) {
		return 0, nil, fmt.Errorf("record %d does not match its checksum", seq)
	}
	return seq, data, nil
}

// A page of reading is copied out of one short transaction. A transaction kept
// open while fn runs would keep old pages from being reused, and would
// deadlock with an Append inside fn.
const (
	readBytes   = 256 << 10
	readRecords = 4096
)

// Read implements store.Log.
func (s *Store) Read(ctx context.Context, after uint64, fn func(store.Record) error) error {
	end, err := s.Last(ctx)
	if err != nil {
		return err
	}
	var page readPage
	for after < end {
		if err := s.view(func(tx *bbolt.Tx) error { return page.fill(s, tx, after, end) }); err != nil {
			return err
		}
		for _, r := range page.recs {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := fn(r)
			if errors.Is(err, store.ErrStop) {
				return nil
			}
			if err != nil {
				return err
			}
			after = r.Seq
		}
	}
	return nil
}

type readPage struct {
	recs []store.Record
	buf  []byte
}

// fill reads at least one record after the given one.
func (p *readPage) fill(s *Store, tx *bbolt.Tx, after, end uint64) error {
	p.recs, p.buf = p.recs[:0], p.buf[:0]
	c := tx.Bucket(bucketLog).Cursor()
	key, value := c.Seek(binary.BigEndian.AppendUint64(nil, after+1))
	for after < end && len(p.buf) < readBytes && len(p.recs) < readRecords {
		if key == nil {
			return s.corrupt(fmt.Sprintf("record %d is missing", after+1))
		}
		seq, data, err := decodeRecord(key, value)
		if err != nil {
			return s.corrupt(err.Error())
		}
		if seq != after+1 {
			return s.corrupt(fmt.Sprintf("record %d is missing", after+1))
		}
		start := len(p.buf)
		p.buf = append(p.buf, data...) // when this moves buf, earlier records keep the old array
		p.recs = append(p.recs, store.Record{Seq: seq, Data: p.buf[start:len(p.buf):len(p.buf)]})
		after = seq
		key, value = c.Next()
	}
	return nil
}

// Last implements store.Log.
func (s *Store) Last(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	if err := s.usable(); err != nil {
		return 0, err
	}
	return s.last.Load(), nil
}
