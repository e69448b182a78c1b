package bolt

import (
	"bytes"
	"time"
)

// element is a key of a leaf page.
type element struct {
	key, value []byte
	bucket     bool // value is a bucket header
}

// bucketRef is where the keys of a bucket are: in pages of their own, or
// inline behind its header.
type bucketRef struct {
	root   uint64
	inline []byte
}

func (p *pager) parseBucket(value []byte) (bucketRef, error) {
	if len(value) < bucketSize {
		return bucketRef{}, p.corrupt("the header of a bucket is too short")
	}
	ref := bucketRef{root: native.Uint64(value)}
	if ref.root == 0 {
		ref.inline = value[bucketSize:]
		if len(ref.inline) < pageHeaderSize {
			return bucketRef{}, p.corrupt("an inline bucket is too short")
		}
	}
	return ref, nil
}

// bucket visits the keys of one bucket from the last page to the first.
func (p *pager) bucket(ref bucketRef, visit func(element) error) error {
	if ref.root == 0 && ref.inline != nil {
		return p.leaf(0, ref.inline, nil, nil, visit)
	}
	return p.tree(ref.root, nil, nil, 0, visit)
}

// tree visits the pages below id, whose keys are in [low, high); nil is open.
func (p *pager) tree(id uint64, low, high []byte, depth int, visit func(element) error) error {
	if depth > maxDepth {
		return p.corrupt("page %d: the tree is too deep", id)
	}
	if depth > 0 && depth == p.leafDepth && !p.deadline.IsZero() && time.Now().After(p.deadline) {
		p.skipped = true
		return p.claim(id, 0)
	}
	page, err := p.page(id, flagBranch|flagLeaf)
	if err != nil {
		return err
	}
	if native.Uint16(page[8:]) == flagLeaf {
		p.leafDepth = depth
		return p.leaf(id, page, low, high, visit)
	}
	count := int(native.Uint16(page[10:]))
	if count == 0 || pageHeaderSize+count*pageElementSize > len(page) {
		return p.corrupt("page %d: its number of keys is wrong", id)
	}
	for i := count - 1; i >= 0; i-- {
		at := pageHeaderSize + i*pageElementSize
		key, ok := slice(page, at, native.Uint32(page[at:]), 0, native.Uint32(page[at+4:]))
		if !ok || !within(key, low, high) {
			return p.corrupt("page %d: key %d is damaged", id, i)
		}
		if err := p.tree(native.Uint64(page[at+8:]), key, high, depth+1, visit); err != nil {
			return err
		}
		high = key
	}
	return nil
}

func (p *pager) leaf(id uint64, page, low, high []byte, visit func(element) error) error {
	if native.Uint16(page[8:]) != flagLeaf {
		return p.corrupt("page %d is of the wrong kind", id)
	}
	count := int(native.Uint16(page[10:]))
	if pageHeaderSize+count*pageElementSize > len(page) {
		return p.corrupt("page %d: its number of keys is wrong", id)
	}
	for i := count - 1; i >= 0; i-- {
		at := pageHeaderSize + i*pageElementSize
		flags, pos := native.Uint32(page[at:]), native.Uint32(page[at+4:])
		keySize, valueSize := native.Uint32(page[at+8:]), native.Uint32(page[at+12:])
		key, okKey := slice(page, at, pos, 0, keySize)
		value, okValue := slice(page, at, pos, keySize, valueSize)
		if !okKey || !okValue || flags&^flagBucket != 0 || !within(key, low, high) {
			return p.corrupt("page %d: key %d is damaged", id, i)
		}
		if err := visit(element{key: key, value: value, bucket: flags == flagBucket}); err != nil {
			return err
		}
		high = key
	}
	return nil
}

// within reports low <= key < high.
func within(key, low, high []byte) bool {
	return (low == nil || bytes.Compare(low, key) <= 0) && (high == nil || bytes.Compare(key, high) < 0)
}

// slice returns the n bytes that lie skip behind pos, which counts from the
// element at.
func slice(page []byte, at int, pos, skip, n uint32) ([]byte, bool) {
	start := uint64(at) + uint64(pos) + uint64(skip)
	end := start + uint64(n)
	if end > uint64(len(page)) {
		return nil, false
	}
	return page[start:end:end], true
}

// page reads a page with its overflow pages and marks them as used.
func (p *pager) page(id uint64, kinds uint16) ([]byte, error) {
	if err := p.ctx.Err(); err != nil {
		return nil, err
	}
	if id < 2 || id >= p.highWater {
		return nil, p.corrupt("page %d is out of bounds", id)
	}
	off := int64(id * p.pageSize)
	page, err := p.read(off, int(p.pageSize))
	if err != nil {
		return nil, err
	}
	if uint64(len(page)) != p.pageSize {
		return nil, p.corrupt("page %d is cut off", id)
	}
	kind, overflow := native.Uint16(page[8:]), uint64(native.Uint32(page[12:]))
	if native.Uint64(page) != id || kind&kinds == 0 || kind&(kind-1) != 0 {
		return nil, p.corrupt("page %d is not what it should be", id)
	}
	if err := p.claim(id, overflow); err != nil {
		return nil, err
	}
	if overflow > 0 {
		if page, err = p.read(off, int((overflow+1)*p.pageSize)); err != nil {
			return nil, err
		}
		if uint64(len(page)) != (overflow+1)*p.pageSize {
			return nil, p.corrupt("page %d is cut off", id)
		}
	}
	return page, nil
}

// claim marks a page and its overflow pages as used.
func (p *pager) claim(id, overflow uint64) error {
	if id < 2 || id >= p.highWater || overflow >= p.highWater-id {
		return p.corrupt("page %d is out of bounds", id+overflow)
	}
	for i := id; i <= id+overflow; i++ {
		if p.used[i] != 0 {
			return p.corrupt("page %d is used twice", i)
		}
		p.used[i] = seenUsed
	}
	return nil
}
