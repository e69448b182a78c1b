package iso

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// builder makes images record by record, so that tests can lie in any field.
type builder struct{ sectors [][]byte }

const firstFree = 20 // after the volume descriptors

// newBuilder has a primary descriptor at 16 whose root directory is at sector root.
func newBuilder(root, rootSectors int) *builder {
	b := &builder{}
	pvd := make([]byte, sectorSize)
	pvd[0], pvd[6] = 1, 1
	copy(pvd[1:], "CD001")
	copy(pvd[40:], "TEST                            ")
	binary.LittleEndian.PutUint16(pvd[128:], sectorSize)
	copy(pvd[156:], dirRecord("\x00", root, rootSectors*sectorSize, flagDirectory, nil))
	b.put(16, pvd)
	end := make([]byte, sectorSize)
	end[0] = 255
	copy(end[1:], "CD001")
	b.put(17, end)
	return b
}

func (b *builder) put(at int, data []byte) {
	for len(b.sectors) <= at+(len(data)-1)/sectorSize {
		b.sectors = append(b.sectors, make([]byte, sectorSize))
	}
	for chunk := range slices.Chunk(data, sectorSize) {
		copy(b.sectors[at], chunk)
		at++
	}
}

// dir puts a directory at sector at; parent links are not needed by readers.
func (b *builder) dir(at int, records ...[]byte) int {
	self := dirRecord("\x00", at, sectorSize, flagDirectory, []byte("SP\x07\x01\xbe\xef\x00"))
	all := append([][]byte{self, dirRecord("\x01", at, sectorSize, flagDirectory, nil)}, records...)
	var out []byte
	for _, rec := range all {
		if room := sectorSize - len(out)%sectorSize; room < len(rec) {
			out = append(out, make([]byte, room)...)
		}
		out = append(out, rec...)
	}
	b.put(at, out)
	return (len(out) + sectorSize - 1) / sectorSize
}

func (b *builder) bytes() []byte {
	if pvd := b.sectors[16]; pvd[0] == 1 && binary.LittleEndian.Uint32(pvd[80:]) == 0 {
		binary.LittleEndian.PutUint32(pvd[80:], uint32(len(b.sectors)))
	}
	return bytes.Join(b.sectors, nil)
}

func (b *builder) read() (*Index, error) {
	img := b.bytes()
	return Read(bytes.NewReader(img), int64(len(img)))
}

func dirRecord(id string, at, length int, flags byte, systemUse []byte) []byte {
	rec := make([]byte, 33, 255)
	binary.LittleEndian.PutUint32(rec[2:], uint32(at))
	binary.LittleEndian.PutUint32(rec[10:], uint32(length))
	rec[25], rec[32] = flags, byte(len(id))
	rec = append(rec, id...)
	if len(rec)%2 == 1 {
		rec = append(rec, 0)
	}
	rec = append(rec, systemUse...)
	if len(rec)%2 == 1 {
		rec = append(rec, 0)
	}
	rec[0] = byte(len(rec))
	return rec
}

func entry(signature string, data ...byte) []byte {
	return append([]byte{signature[0], signature[1], byte(4 + len(data)), 1}, data...)
}

func nm(name string) []byte { return entry("NM", append([]byte{0}, name...)...) }

// symlink makes an SL entry of one component with the given flags.
func symlink(flags byte, component string) []byte {
	return entry("SL", append([]byte{0, flags, byte(len(component))}, component...)...)
}

func ce(block, offset, length uint32) []byte {
	var data []byte
	for _, v := range []uint32{block, offset, length} {
		data = binary.LittleEndian.AppendUint32(data, v)
		data = binary.BigEndian.AppendUint32(data, v)
	}
	return entry("CE", data...)
}
