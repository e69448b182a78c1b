package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/rackseed/rackseed/pkg/store"
)

// A snapshot of thousands of nodes has tens of megabytes. It is written as
// pieces in transactions of their own, so that an append waits for one of them
// and not for the whole. A snapshot counts once its head is there.
const (
	pieceSize = 64 << 10
	pieceTx   = 16 // pieces per transaction
	snapsKept = 2
)

var keyHead = []byte("head") // length and CRC-32C; sorts after the pieces

// SaveSnapshot implements store.Log.
func (s *Store) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	var newest uint64
	err := s.view(func(tx *bbolt.Tx) error {
		if names := completeSnapshots(tx); len(names) > 0 {
			newest = binary.BigEndian.Uint64(names[len(names)-1])
		}
		return nil
	})
	if err != nil {
		return err
	}
	if last := s.last.Load(); snap.Seq > last || snap.Seq < newest {
		return fmt.Errorf("%w: %d, with the log at %d and a snapshot at %d", store.ErrSnapshotSeq, snap.Seq, last, newest)
	}
	if err := s.writeSnapshot(ctx, snap); err != nil {
		// The pieces may hold the very space that the log needs now.
		_ = s.writeTx(s.dropSnapshots)
		return fmt.Errorf("saving the snapshot at %d: %w", snap.Seq, err)
	}
	return nil
}

func (s *Store) writeSnapshot(ctx context.Context, snap store.Snapshot) error {
	var name []byte
	err := s.writeTx(func(tx *bbolt.Tx) error {
		all := tx.Bucket(bucketSnapshots)
		id, err := all.NextSequence() // so that a snapshot can replace one of the same Seq
		if err != nil {
			return err
		}
		name = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, snap.Seq), id)
		_, err = all.CreateBucket(name)
		return err
	})
	if err != nil {
		return err
	}
	for off := 0; off < len(snap.Data); off += pieceSize * pieceTx {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.writeTx(func(tx *bbolt.Tx) error {
			return putPieces(tx.Bucket(bucketSnapshots).Bucket(name), snap.Data, off)
		})
		if err != nil {
			return err
		}
	}
	head := binary.BigEndian.AppendUint64(nil, uint64(len(snap.Data)))
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(snap.Data, castagnoli()))
	return s.writeTx(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(bucketSnapshots).Bucket(name).Put(keyHead, head); err != nil {
			return err
		}
		return s.dropSnapshots(tx)
	})
}

func putPieces(b *bbolt.Bucket, data []byte, off int) error {
	b.FillPercent = fillPercent
	for range pieceTx {
		if off >= len(data) {
			return nil
		}
		end := min(off+pieceSize, len(data))
		if err := b.Put(binary.BigEndian.AppendUint32(nil, uint32(off/pieceSize)), data[off:end]); err != nil {
			return err
		}
		off = end
	}
	return nil
}

// writeTx runs one write transaction that does not move the log.
func (s *Store) writeTx(fn func(*bbolt.Tx) error) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	err := s.commit(func(tx *bbolt.Tx) error {
		if err := s.markDirty(tx); err != nil {
			return err
		}
		return fn(tx)
	})
	if err == nil {
		s.dirty = true
	}
	return err
}

// completeSnapshots returns the bucket names of the snapshots that have a
// head, oldest first, and of several with one Seq only the last.
func completeSnapshots(tx *bbolt.Tx) [][]byte {
	var names [][]byte
	all := tx.Bucket(bucketSnapshots)
	c := all.Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		if len(name) != 16 || all.Bucket(name) == nil || all.Bucket(name).Get(keyHead) == nil {
			continue
		}
		if n := len(names); n > 0 && bytes.Equal(names[n-1][:8], name[:8]) {
			names = names[:n-1]
		}
		names = append(names, bytes.Clone(name))
	}
	return names
}

// dropSnapshots deletes all but the newest complete ones.
func (s *Store) dropSnapshots(tx *bbolt.Tx) error {
	keep := make(map[string]bool)
	names := completeSnapshots(tx)
	for _, n := range names[max(0, len(names)-snapsKept):] {
		keep[string(n)] = true
	}
	all := tx.Bucket(bucketSnapshots)
	var drop [][]byte
	c := all.Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		if !keep[string(name)] {
			drop = append(drop, bytes.Clone(name))
		}
	}
	for _, name := range drop {
		if err := all.DeleteBucket(name); err != nil {
			return s.corrupt(fmt.Sprintf("an old snapshot cannot be deleted: %v", err))
		}
	}
	return nil
}

// LoadSnapshot implements store.Log. Damage that is passed over is logged too.
func (s *Store) LoadSnapshot(ctx context.Context) (store.Snapshot, bool, error) {
	if err := ctx.Err(); err != nil {
		return store.Snapshot{}, false, err
	}
	var found store.Snapshot
	ok := false
	err := s.view(func(tx *bbolt.Tx) error {
		names := completeSnapshots(tx)
		for i := len(names) - 1; i >= 0 && !ok; i-- {
			seq := binary.BigEndian.Uint64(names[i])
			data, err := readSnapshot(tx.Bucket(bucketSnapshots).Bucket(names[i]))
			if err == nil && seq > s.last.Load() {
				err = errors.New("it is beyond the end of the log")
			}
			if err != nil {
				found.Skipped = errors.Join(found.Skipped, &store.CorruptError{
					Path: s.path, Found: fmt.Sprintf("the snapshot at %d: %v", seq, err),
					Do: "nothing is lost, the log is folded from further back; check the disk",
				})
				continue
			}
			found.Seq, found.Data, ok = seq, data, true
		}
		return nil
	})
	if err != nil {
		return store.Snapshot{}, false, err
	}
	if found.Skipped != nil {
		s.log.Warn("a snapshot of the event log is damaged and was passed over", "file", s.path, "err", found.Skipped)
	}
	return found, ok, nil
}

func readSnapshot(b *bbolt.Bucket) ([]byte, error) {
	head := b.Get(keyHead)
	if len(head) != 12 {
		return nil, errors.New("its head is damaged")
	}
	size := binary.BigEndian.Uint64(head)
	var data []byte
	if size <= uint64(b.Tx().Size()) {
		data = make([]byte, 0, size)
	}
	c := b.Cursor()
	for key, value := c.First(); key != nil && !bytes.Equal(key, keyHead); key, value = c.Next() {
		data = append(data, value...)
	}
	if uint64(len(data)) != size {
		return nil, fmt.Errorf("it has %d bytes instead of %d", len(data), size)
	}
	if crc32.Checksum(data, castagnoli()) != binary.BigEndian.Uint32(head[8:]) {
		return nil, errors.New("it does not match its checksum")
	}
	return data, nil
}
