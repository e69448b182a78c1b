// Package iso reads the directory of an ISO 9660 image into an index from path to byte ranges, so
// that files can be served straight out of the image.
//
// Names come from Rock Ridge (IEEE P1282) where the image has it, else from Joliet, else from plain
// ISO 9660 in lower case, which is the order and the spelling that Linux uses. Files over 4 GiB
// (several extents), relocated directories and symbolic links are understood; links never lead out
// of the image.
//
// Images are treated as hostile: whatever the bytes say, reading ends, memory stays bounded, and the
// outcome is an index or an error.
package iso

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	sectorSize      = 2048
	firstDescriptor = 16 // ECMA-119 6.2.1: sectors 0 to 15 are the system area

	// A full Debian or openEuler "everything" medium has some tens of thousands of entries.
	maxEntries       = 1 << 18
	maxMetadataBytes = 64 << 20
	maxDescriptors   = 64
)

// Errors that callers tell apart with errors.Is.
var (
	ErrNotISO    = errors.New("not an ISO 9660 image")
	ErrUDF       = errors.New("a UDF image without an ISO 9660 directory")
	ErrTruncated = errors.New("image is truncated")
	ErrDamaged   = errors.New("image is damaged")
)

// Naming says which of an image's directories the names were taken from.
type Naming string

// The naming schemes, best first.
const (
	RockRidge Naming = "rock ridge"
	Joliet    Naming = "joliet"
	Plain     Naming = "plain"
)

// Extent is a run of bytes in the image file.
type Extent struct {
	Offset, Length int64
}

func (e Extent) end() int64 { return e.Offset + e.Length }

// Read builds the index of the image of size bytes behind r. The errors wrap ErrNotISO, ErrUDF,
// ErrTruncated or ErrDamaged, or are those of r.
func Read(r io.ReaderAt, size int64) (*Index, error) {
	src := &source{r: r, size: size, bytesLeft: maxMetadataBytes, recordsLeft: maxEntries, blockAt: -1}
	vol, err := readVolume(src)
	if err != nil {
		return nil, err
	}
	if vol.space > size {
		return nil, fmt.Errorf("%w: it should hold %d bytes and the file has %d", ErrTruncated, vol.space, size)
	}
	names, root, err := vol.chooseNames(src)
	if err != nil {
		return nil, fmt.Errorf("reading the root directory: %w", err)
	}
	x := &Index{Label: vol.label, Space: vol.space, UDF: vol.udf, Naming: names.scheme}
	if err := x.build(src, names, root); err != nil {
		return nil, err
	}
	return x, nil
}

// source reads sectors within the image and within a budget, so that directories that claim to be
// huge, or that are read again and again, come to an end.
type source struct {
	r           io.ReaderAt
	size        int64
	bytesLeft   int64
	recordsLeft int

	// The last block of continuation areas: neighbouring records share one.
	block   [sectorSize]byte
	blockAt int64
}

func (s *source) sector(offset int64, buf *[sectorSize]byte) error {
	if err := s.spend(sectorSize); err != nil {
		return err
	}
	return s.read(offset, buf)
}

func (s *source) read(offset int64, buf *[sectorSize]byte) error {
	if offset < 0 || offset+sectorSize > s.size {
		return fmt.Errorf("%w: it refers to byte %d and the file has %d", ErrTruncated, offset, s.size)
	}
	if n, err := s.r.ReadAt(buf[:], offset); n < len(buf) {
		return fmt.Errorf("reading sector %d: %w", offset/sectorSize, err)
	}
	return nil
}

func (s *source) spend(n int64) error {
	if s.bytesLeft -= n; s.bytesLeft < 0 {
		return fmt.Errorf("%w: more than %d MiB of directories", ErrDamaged, maxMetadataBytes>>20)
	}
	return nil
}

// continuation returns an area that is valid until the next call.
func (s *source) continuation(c continuation) ([]byte, error) {
	if err := s.spend(c.length); err != nil {
		return nil, err
	}
	if s.blockAt != c.block {
		if err := s.read(c.block, &s.block); err != nil {
			return nil, fmt.Errorf("reading a continuation area: %w", err)
		}
		s.blockAt = c.block
	}
	return s.block[c.offset : c.offset+c.length], nil
}

// volume is what the volume descriptors say (ECMA-119 8.4, 8.5).
type volume struct {
	label  string
	space  int64
	root   Extent
	joliet *Extent
	udf    bool
}

func readVolume(src *source) (volume, error) {
	var (
		vol     volume
		buf     [sectorSize]byte
		primary bool
	)
	for i := range int64(maxDescriptors) {
		at := (firstDescriptor + i) * sectorSize
		if at+sectorSize > src.size {
			break
		}
		if err := src.sector(at, &buf); err != nil {
			return vol, err
		}
		switch id := string(buf[1:6]); id {
		case "CD001":
			if err := vol.descriptor(&buf, &primary); err != nil {
				return vol, err
			}
			continue
		case "BEA01", "TEA01", "BOOT2":
			continue
		case "NSR02", "NSR03":
			vol.udf = true
			continue
		}
		break
	}
	switch {
	case primary:
		return vol, nil
	case vol.udf:
		return vol, ErrUDF
	}
	return vol, fmt.Errorf("%w: no volume descriptor at sector %d", ErrNotISO, firstDescriptor)
}

func (v *volume) descriptor(buf *[sectorSize]byte, primary *bool) error {
	const (
		typePrimary       = 1
		typeSupplementary = 2
	)
	switch buf[0] {
	case typePrimary:
		if *primary {
			return nil // ECMA-119 8.4 allows copies
		}
		*primary = true
		if bs := binary.LittleEndian.Uint16(buf[128:]); bs != sectorSize {
			return fmt.Errorf("%w: logical blocks of %d bytes, want %d", ErrDamaged, bs, sectorSize)
		}
		v.label = strings.TrimRight(string(buf[40:72]), " \x00")
		v.space = int64(binary.LittleEndian.Uint32(buf[80:])) * sectorSize
		rec, err := parseRecord(buf[156:190])
		if err != nil {
			return fmt.Errorf("reading the volume descriptor: %w", err)
		}
		v.root = rec.extent
	case typeSupplementary:
		if !isJoliet(buf[88:120]) {
			return nil
		}
		rec, err := parseRecord(buf[156:190])
		if err != nil {
			return fmt.Errorf("reading the Joliet volume descriptor: %w", err)
		}
		v.joliet = &rec.extent
	}
	return nil
}

// isJoliet looks for the escape sequences of UCS-2 levels 1 to 3.
func isJoliet(escapes []byte) bool {
	for _, level := range []string{"%/@", "%/C", "%/E"} {
		if bytes.HasPrefix(escapes, []byte(level)) {
			return true
		}
	}
	return false
}

// chooseNames prefers Rock Ridge, which announces itself in the first record of the root directory.
func (v *volume) chooseNames(src *source) (namer, Extent, error) {
	var buf [sectorSize]byte
	if err := src.sector(v.root.Offset, &buf); err != nil {
		return namer{}, Extent{}, err
	}
	rec, err := parseRecord(buf[:])
	if err != nil {
		return namer{}, Extent{}, err
	}
	if skip, ok := systemUseSkip(rec.systemUse); ok {
		return namer{scheme: RockRidge, skip: skip}, v.root, nil
	}
	if v.joliet != nil {
		return namer{scheme: Joliet}, *v.joliet, nil
	}
	return namer{scheme: Plain}, v.root, nil
}
