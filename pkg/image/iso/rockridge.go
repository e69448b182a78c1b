package iso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

const (
	maxContinuations = 64
	maxLinkTarget    = 4096
)

// systemUseSkip reads SUSP's SP entry (SUSP 1.12, 5.3), which must open the system use area of the
// root directory's first record.
func systemUseSkip(area []byte) (skip int, ok bool) {
	const xaLength = 14 // CD-ROM XA attributes may come before it
	for _, at := range []int{0, xaLength} {
		if len(area) >= at+7 && string(area[at:at+2]) == "SP" && area[at+4] == 0xBE && area[at+5] == 0xEF {
			return int(area[at+6]), true
		}
	}
	return 0, false
}

var errEndOfEntries = errors.New("end of system use entries")

// rockRidge reads the entries in a record's system use area and in its continuation areas.
func rockRidge(src *source, area []byte, skip int) (attributes, error) {
	if skip > len(area) {
		return attributes{}, nil
	}
	area = area[skip:]
	p := entryParser{}
	for hops := 0; ; hops++ {
		if err := p.parse(area); err != nil && !errors.Is(err, errEndOfEntries) {
			return attributes{}, err
		}
		if p.next == nil {
			break
		}
		if hops == maxContinuations {
			return attributes{}, fmt.Errorf("%w: endless chain of continuation areas", ErrDamaged)
		}
		var err error
		if area, err = src.continuation(*p.next); err != nil {
			return attributes{}, err
		}
		p.next = nil
	}
	p.attr.name = p.name.String()
	if p.attr.mode == fs.ModeSymlink {
		p.attr.target = p.link.String()
		if p.attr.target == "" {
			p.attr.mode = fs.ModeIrregular
		}
	}
	return p.attr, nil
}

// entryParser gathers what may be spread over several entries and areas.
type entryParser struct {
	attr        attributes
	name, link  strings.Builder
	linkPending bool // the last component of link goes on
	next        *continuation
}

type continuation struct{ block, offset, length int64 }

// parse reads the entries of one area. Bytes that are no entry end it, as they do in Linux: some
// writers pad with more than the one byte they may.
func (p *entryParser) parse(area []byte) error {
	for len(area) >= 4 {
		n := int(area[2])
		if n < 4 || n > len(area) {
			return nil
		}
		if err := p.entry(string(area[:2]), area[4:n]); err != nil {
			return err
		}
		area = area[n:]
	}
	return nil
}

func (p *entryParser) entry(signature string, data []byte) error {
	switch signature {
	case "NM":
		const currentOrParent = 2 | 4
		if len(data) > 0 && data[0]&currentOrParent == 0 {
			p.name.Write(data[1:])
		}
	case "PX":
		p.posixMode(data)
	case "SL":
		return p.linkComponents(data)
	case "CL":
		if len(data) < 4 {
			return fmt.Errorf("%w: short CL entry", ErrDamaged)
		}
		p.attr.childAt = int64(binary.LittleEndian.Uint32(data)) * sectorSize
	case "RE":
		p.attr.relocated = true
	case "ZF":
		return fmt.Errorf("%w: it holds zisofs-compressed files, which cannot be served from the image", ErrDamaged)
	case "CE":
		return p.continuation(data)
	case "ST":
		return errEndOfEntries
	}
	return nil
}

func (p *entryParser) posixMode(data []byte) {
	const typeMask, typeDirectory, typeRegular, typeLink = 0o170000, 0o040000, 0o100000, 0o120000
	if len(data) < 4 {
		return
	}
	switch binary.LittleEndian.Uint32(data) & typeMask {
	case typeLink:
		p.attr.mode = fs.ModeSymlink
	case typeDirectory, typeRegular, 0:
	default:
		p.attr.mode = fs.ModeIrregular // devices, sockets, pipes: listed, never served
	}
}

func (p *entryParser) continuation(data []byte) error {
	if len(data) < 24 {
		return fmt.Errorf("%w: short CE entry", ErrDamaged)
	}
	next := continuation{
		block:  int64(binary.LittleEndian.Uint32(data)) * sectorSize,
		offset: int64(binary.LittleEndian.Uint32(data[8:])),
		length: int64(binary.LittleEndian.Uint32(data[16:])),
	}
	if next.offset+next.length > sectorSize {
		return fmt.Errorf("%w: continuation area over the end of its block", ErrDamaged)
	}
	p.next = &next
	return nil
}

// linkComponents appends one SL entry to the link's target (IEEE P1282 4.1.3).
func (p *entryParser) linkComponents(data []byte) error {
	const goesOn, current, parent, root = 1, 2, 4, 8
	if len(data) == 0 {
		return nil
	}
	p.attr.mode = fs.ModeSymlink
	for data = data[1:]; len(data) >= 2; {
		flags, n := data[0], int(data[1])
		if 2+n > len(data) {
			return fmt.Errorf("%w: symbolic link component runs over its entry", ErrDamaged)
		}
		if p.link.Len() > 0 && !p.linkPending && p.link.String() != "/" {
			p.link.WriteByte('/')
		}
		switch {
		case flags&root != 0:
			p.link.Reset()
			p.link.WriteByte('/')
		case flags&parent != 0:
			p.link.WriteString("..")
		case flags&current != 0:
			p.link.WriteString(".")
		default:
			p.link.Write(data[2 : 2+n])
		}
		p.linkPending = flags&goesOn != 0
		data = data[2+n:]
	}
	if p.link.Len() > maxLinkTarget {
		return fmt.Errorf("%w: symbolic link longer than %d bytes", ErrDamaged, maxLinkTarget)
	}
	return nil
}
