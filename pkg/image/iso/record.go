package iso

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf16"
)

// Flags of a directory record (ECMA-119 9.1.6).
const (
	flagDirectory  = 1 << 1
	flagAssociated = 1 << 2
	flagMoreFollow = 1 << 7 // not the last extent of this file
)

const recordHeader = 33

// record is one directory record; id and systemUse point into the sector it was read from.
type record struct {
	extent      Extent
	flags       byte
	interleaved bool
	id          []byte
	systemUse   []byte
}

func parseRecord(b []byte) (record, error) {
	n := int(b[0])
	if n <= recordHeader || n > len(b) {
		return record{}, fmt.Errorf("%w: directory record of %d bytes", ErrDamaged, n)
	}
	b = b[:n]
	idEnd := recordHeader + int(b[32])
	if idEnd > n {
		return record{}, fmt.Errorf("%w: file identifier runs over its record", ErrDamaged)
	}
	rec := record{
		extent: Extent{
			Offset: (int64(binary.LittleEndian.Uint32(b[2:])) + int64(b[1])) * sectorSize,
			Length: int64(binary.LittleEndian.Uint32(b[10:])),
		},
		flags:       b[25],
		interleaved: b[26] != 0 || b[27] != 0,
		id:          b[recordHeader:idEnd],
	}
	if pad := (b[32] + 1) % 2; idEnd+int(pad) <= n {
		rec.systemUse = b[idEnd+int(pad):]
	}
	return rec, nil
}

// isSelfOrParent recognises the first two records of each directory.
func (r record) isSelfOrParent() bool {
	return len(r.id) == 1 && r.id[0] <= 1
}

// records calls visit for each record of a directory but the first two. A record never crosses a
// sector (ECMA-119 6.8.1.1).
func records(src *source, dir Extent, visit func(record) error) error {
	var buf [sectorSize]byte
	for at := dir.Offset; at < dir.end(); at += sectorSize {
		if err := src.sector(at, &buf); err != nil {
			return err
		}
		for rest := buf[:]; len(rest) > 0 && rest[0] != 0; {
			rec, err := parseRecord(rest)
			if err != nil {
				return err
			}
			rest = rest[rest[0]:]
			if rec.isSelfOrParent() {
				continue
			}
			if src.recordsLeft--; src.recordsLeft < 0 {
				return fmt.Errorf("%w: more than %d entries", ErrDamaged, maxEntries)
			}
			if err := visit(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// namer turns records into named attributes by one naming scheme.
type namer struct {
	scheme Naming
	skip   int // bytes before the system use entries, from SUSP's SP
}

// attributes are what a record says beyond its extent.
type attributes struct {
	name      string
	mode      fs.FileMode // type bits only
	target    string      // of a symbolic link
	childAt   int64       // byte offset of a directory moved elsewhere (CL), or 0
	relocated bool        // reached by its CL record, not from here (RE)
}

func (n namer) attributes(src *source, rec record) (attributes, error) {
	var (
		a   attributes
		err error
	)
	if n.scheme == RockRidge {
		if a, err = rockRidge(src, rec.systemUse, n.skip); err != nil {
			return a, err
		}
	}
	switch {
	case a.name != "":
	case n.scheme == Joliet:
		a.name = withoutVersion(decodeUCS2(rec.id))
	default:
		a.name = strings.ToLower(strings.TrimSuffix(withoutVersion(string(rec.id)), "."))
	}
	if rec.flags&flagDirectory != 0 || a.childAt != 0 {
		a.mode = fs.ModeDir
	}
	return a, checkName(a.name)
}

// checkName refuses names that would mean something else as part of a path.
func checkName(name string) error {
	const longest = 255 // NAME_MAX, and all that Rock Ridge promises
	if name == "" || name == "." || name == ".." || len(name) > longest || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%w: impossible file name %.80q", ErrDamaged, name)
	}
	return nil
}

func withoutVersion(name string) string {
	name, _, _ = strings.Cut(name, ";")
	return name
}

func decodeUCS2(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
