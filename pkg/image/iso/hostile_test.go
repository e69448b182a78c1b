package iso

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"testing"
)

// hostile images, each with the error that it must give.
var hostile = []struct {
	name string
	want error
	make func() *builder
}{
	{"root directory refers to itself", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, sectorSize, flagDirectory, nm("a")))
		return b
	}},
	{"two directories contain each other", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree+1, sectorSize, flagDirectory, nil))
		b.dir(firstFree+1, dirRecord("B", firstFree+2, sectorSize, flagDirectory, nil))
		b.dir(firstFree+2, dirRecord("C", firstFree+1, sectorSize, flagDirectory, nil))
		return b
	}},
	{"relocated directory is its own child", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", 0, 0, 0, entry("CL", firstFree, 0, 0, 0, 0, 0, 0, firstFree)))
		return b
	}},
	{"directory of 4 GiB", ErrTruncated, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree+1, 0xffffffff, flagDirectory, nil))
		b.dir(firstFree + 1)
		return b
	}},
	{"directory past the end", ErrTruncated, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", 0xffffffff, sectorSize, flagDirectory, nil))
		return b
	}},
	{"file past the end", ErrTruncated, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 0x7fffffff, 0, nil))
		return b
	}},
	{"record over the end of its sector", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 2)
		b.dir(firstFree)
		sector := make([]byte, 2*sectorSize)
		copy(sector, b.sectors[firstFree])
		at := 0
		for sector[at] != 0 {
			at += int(sector[at])
		}
		for at < sectorSize-120 {
			rec := dirRecord(fmt.Sprintf("F%d", at), firstFree, 0, 0, nil)
			copy(sector[at:], rec)
			at += len(rec)
		}
		copy(sector[at:], dirRecord("ACROSS", firstFree, 0, 0, bytes.Repeat([]byte{0}, 160)))
		b.put(firstFree, sector)
		return b
	}},
	{"record shorter than a record", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, []byte{3, 0, 0})
		return b
	}},
	{"identifier longer than its record", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		rec := dirRecord("A", firstFree, 0, 0, nil)
		rec[32] = 200
		b.dir(firstFree, rec)
		return b
	}},
	{"continuation area that refers to itself", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		loop := ce(firstFree+1, 0, 28)
		b.dir(firstFree, dirRecord("A", firstFree, 0, 0, loop))
		b.put(firstFree+1, loop)
		return b
	}},
	{"continuation area over its block", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 0, 0, ce(firstFree, 2000, 0xffffff00)))
		return b
	}},
	{"continuation area past the end", ErrTruncated, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 0, 0, ce(0xfffffff0, 0, 100)))
		return b
	}},
	{"name with a slash", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 0, 0, nm("../../etc/passwd")))
		return b
	}},
	{"name is the parent", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 0, 0, nm("..")))
		return b
	}},
	{"name with a zero byte", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 0, 0, nm("a\x00b")))
		return b
	}},
	{"name without an end", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		var area []byte
		for range 8 {
			area = append(area, nm(strings.Repeat("x", 200))...)
		}
		b.dir(firstFree, dirRecord("A", firstFree, 0, 0, ce(firstFree+1, 0, uint32(len(area)))))
		b.put(firstFree+1, area)
		return b
	}},
	{"last extent never comes", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 10, flagMoreFollow, nil))
		return b
	}},
	{"another file between two extents", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 10, flagMoreFollow, nil), dirRecord("B", firstFree, 10, 0, nil))
		return b
	}},
	{"volume larger than the file", ErrTruncated, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree)
		binary.LittleEndian.PutUint32(b.sectors[16][80:], 1000)
		return b
	}},
	{"blocks of 512 bytes", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree)
		binary.LittleEndian.PutUint16(b.sectors[16][128:], 512)
		return b
	}},
	{"compressed file", ErrDamaged, func() *builder {
		b := newBuilder(firstFree, 1)
		b.dir(firstFree, dirRecord("A", firstFree, 10, 0, entry("ZF", 'p', 'z', 4, 15, 0, 0, 0, 0, 0, 0, 0, 0)))
		return b
	}},
	{"UDF only", ErrUDF, func() *builder {
		b := &builder{}
		for i, id := range []string{"BEA01", "NSR03", "TEA01"} {
			b.put(16+i, append([]byte{0}, id...))
		}
		return b
	}},
	{"zeros", ErrNotISO, func() *builder {
		b := &builder{}
		b.put(40, []byte{0})
		return b
	}},
	{"a web page", ErrNotISO, func() *builder {
		b := &builder{}
		b.put(0, []byte("<html>404</html>"))
		b.put(17, []byte("<html>"))
		return b
	}},
}

func TestHostileImagesAreRefused(t *testing.T) {
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.make().read()
			if !errors.Is(err, tt.want) {
				t.Errorf("Read: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestMillionEntriesAreRefusedInLittleMemory(t *testing.T) {
	const entries = 1_000_000
	b := newBuilder(firstFree, 0)
	recs := make([][]byte, entries)
	for i := range recs {
		recs[i] = dirRecord(fmt.Sprintf("%07X", i), firstFree, 0, 0, nil)
	}
	n := b.dir(firstFree, recs...)
	copy(b.sectors[16][156:], dirRecord("\x00", firstFree, n*sectorSize, flagDirectory, nil))
	img := b.bytes()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read(bytes.NewReader(img), int64(len(img)))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("Read: %v, want %v", err, ErrDamaged)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 200<<20 {
		t.Errorf("allocated %d MiB, want at most 200", grown>>20)
	}
}

func TestLinksStayInsideTheImage(t *testing.T) {
	b := newBuilder(firstFree, 1)
	b.dir(firstFree,
		dirRecord("D", firstFree+1, sectorSize, flagDirectory, nm("d")),
		dirRecord("F", firstFree+2, 5, 0, nm("f")),
		dirRecord("HERE", 0, 0, 0, append(nm("here"), symlink(2, "")...)),
		dirRecord("LOOP", 0, 0, 0, append(nm("loop"), symlink(0, "pool")...)),
		dirRecord("POOL", 0, 0, 0, append(nm("pool"), symlink(0, "loop")...)),
	)
	b.dir(firstFree+1,
		dirRecord("UP", 0, 0, 0, append(nm("up"), entry("SL", 0, 4, 0, 4, 0, 4, 0, 0, 1, 'f')...)),
		dirRecord("ROOT", 0, 0, 0, append(nm("root"), entry("SL", 0, 8, 0, 0, 1, 'f')...)),
		dirRecord("HOST", 0, 0, 0, append(nm("host"), entry("SL", 0, 8, 0, 0, 3, 'e', 't', 'c')...)),
		dirRecord("SPLIT", 0, 0, 0, append(nm("split"), entry("SL", 0, 8, 0, 1, 1, 'h', 0, 3, 'e', 'r', 'e', 0, 1, 'f')...)),
	)
	b.put(firstFree+2, []byte("hello"))
	x, err := b.read()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"d/up":                      nil, // ../../../f ends at the image's root
		"d/root":                    nil, // /f is the image's f
		"d/split":                   nil, // /here/f, one component written in two parts
		"here/here/here/d/../f":     nil,
		"d/host":                    fs.ErrNotExist,
		"d/host/passwd":             fs.ErrNotExist,
		"loop":                      fs.ErrNotExist,
		"loop/f":                    fs.ErrNotExist,
		"../../../../../etc/passwd": fs.ErrNotExist,
		"f/x":                       fs.ErrNotExist,
	} {
		e, err := x.Lookup(name)
		if !errors.Is(err, want) {
			t.Errorf("Lookup(%q): %v, want %v", name, err, want)
		}
		if err == nil && e.Name != "f" {
			t.Errorf("Lookup(%q) found %q", name, e.Name)
		}
	}
}

// FuzzRead leaves out the system area, which no reader looks at, to keep inputs short.
func FuzzRead(f *testing.F) {
	const systemArea = firstDescriptor * sectorSize
	for _, tt := range hostile {
		f.Add(tt.make().bytes()[systemArea:])
	}
	b := newBuilder(firstFree, 1)
	b.dir(firstFree,
		dirRecord("D", firstFree+1, sectorSize, flagDirectory, nm("d")),
		dirRecord("F", firstFree+2, 5, flagMoreFollow, nm("f")),
		dirRecord("F", firstFree+2, 5, 0, nm("f")),
		dirRecord("L", 0, 0, 0, append(nm("l"), symlink(8, "")...)))
	b.dir(firstFree + 1)
	b.put(firstFree+2, []byte("hello"))
	f.Add(b.bytes()[systemArea:])
	f.Fuzz(func(t *testing.T, volume []byte) {
		img := append(make([]byte, systemArea), volume...)
		x, err := Read(bytes.NewReader(img), int64(len(img)))
		if err != nil {
			return
		}
		var visit func(dir string, depth int)
		visit = func(dir string, depth int) {
			list, err := x.List(dir)
			if err != nil || depth > 8 {
				return
			}
			for _, e := range list {
				if err := checkName(e.Name); err != nil {
					t.Error(err)
				}
				for _, part := range e.Extents {
					if part.Length > 0 && part.end() > int64(len(img)) {
						t.Errorf("%q lies outside the image", e.Name)
					}
				}
				name := dir + "/" + e.Name
				_, _ = x.Lookup(name)
				if e.Mode.IsDir() {
					visit(name, depth+1)
				}
			}
		}
		visit("", 0)
	})
}
