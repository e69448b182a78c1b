package bolt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
)

const pageSize = 4096

// payload is what every test writes as record seq, so that any reader can
// verify any record.
func payload(seq uint64) []byte {
	return fmt.Appendf(nil, "record %d %s", seq, strings.Repeat("x", int(seq%97)))
}

func payloads(from, to uint64) [][]byte {
	var recs [][]byte
	for seq := from; seq <= to; seq++ {
		recs = append(recs, payload(seq))
	}
	return recs
}

// image returns the bytes of a log of 400 records and two snapshots, closed
// cleanly or as a crash leaves it.
func image(t testing.TB, clean bool) []byte {
	t.Helper()
	dir := tempDir(t)
	s := open(t, dir)
	for seq := uint64(0); seq < 400; seq += 20 {
		if _, err := s.Append(context.Background(), seq, payloads(seq+1, seq+20)); err != nil {
			t.Fatal(err)
		}
		if seq%100 == 0 {
			snap := store.Snapshot{Seq: seq + 20, Data: bytes.Repeat([]byte{byte(seq)}, 5000)}
			if err := s.SaveSnapshot(context.Background(), snap); err != nil {
				t.Fatal(err)
			}
		}
	}
	if clean {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if !clean {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	high := max(highWater(data, 0), highWater(data, 1))
	return data[:high*pageSize] // without the room for growth, which holds nothing
}

func highWater(data []byte, page int) uint64 {
	return binary.NativeEndian.Uint64(data[page*pageSize+16+40:])
}

// reseal makes the checksums of both meta pages right again.
func reseal(data []byte) {
	for page := range 2 {
		m := data[page*pageSize+16:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:56])
		binary.NativeEndian.PutUint64(m[56:], sum.Sum64())
	}
}

func putFile(t testing.TB, data []byte) (dir, path string) {
	t.Helper()
	dir = tempDir(t)
	path = filepath.Join(dir, bolt.FileName)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// current returns the number of the newer meta page.
func current(data []byte) int {
	if binary.NativeEndian.Uint64(data[16+48:]) > binary.NativeEndian.Uint64(data[pageSize+16+48:]) {
		return 0
	}
	return 1
}

// pageOf finds the page of the newest tree that holds needle.
func pageOf(t *testing.T, data []byte, needle string) int {
	t.Helper()
	at := bytes.LastIndex(data, []byte(needle))
	if at < 0 {
		t.Fatalf("%q is not in the file", needle)
	}
	return at / pageSize
}

func TestOpenRefusesDamage(t *testing.T) {
	tests := []struct {
		name   string
		damage func(t *testing.T, data []byte) []byte
		found  string
	}{
		{"empty", func(_ *testing.T, d []byte) []byte { return nil }, "it is empty"},
		{"zeros", func(_ *testing.T, d []byte) []byte { return make([]byte, len(d)) }, "it begins with zeros"},
		{"first bytes only", func(_ *testing.T, d []byte) []byte { return d[:100] }, "meta page 1 is damaged"},
		{"one page only", func(_ *testing.T, d []byte) []byte { return d[:pageSize] }, "meta page 1 is damaged"},
		{"cut by a page", func(_ *testing.T, d []byte) []byte { return d[:len(d)-pageSize] }, "it is cut off"},
		{"cut by a byte", func(_ *testing.T, d []byte) []byte { return d[:len(d)-1] }, "it is cut off"},
		{"first page lost", func(_ *testing.T, d []byte) []byte { clear(d[:pageSize]); return d }, "meta page 0 is damaged"},
		{"second page lost", func(_ *testing.T, d []byte) []byte { clear(d[pageSize : 2*pageSize]); return d }, "meta page 1 is damaged"},
		{"a bit of the newer meta page", func(_ *testing.T, d []byte) []byte {
			d[current(d)*pageSize+16+20] ^= 4
			return d
		}, "is damaged"},
		{"an older copy of the newer meta page", func(_ *testing.T, d []byte) []byte {
			n := current(d)
			txid := d[n*pageSize+16+48:]
			binary.NativeEndian.PutUint64(txid, binary.NativeEndian.Uint64(txid)-2)
			binary.NativeEndian.PutUint64(d[n*pageSize+16+48:], binary.NativeEndian.Uint64(txid)+8)
			reseal(d)
			return d
		}, "do not belong together"},
		{"list of free pages lost", func(_ *testing.T, d []byte) []byte {
			at := binary.NativeEndian.Uint64(d[current(d)*pageSize+16+32:]) * pageSize
			clear(d[at : at+pageSize])
			return d
		}, "is not what it should be"},
		{"list of free pages points outside", func(_ *testing.T, d []byte) []byte {
			at := binary.NativeEndian.Uint64(d[current(d)*pageSize+16+32:]) * pageSize
			binary.NativeEndian.PutUint64(d[at+16:], 1<<40)
			return d
		}, "list of free pages is damaged"},
		{"root page lost", func(_ *testing.T, d []byte) []byte {
			at := binary.NativeEndian.Uint64(d[current(d)*pageSize+16+16:]) * pageSize
			clear(d[at : at+pageSize])
			return d
		}, "is not what it should be"},
		{"root page number is garbage", func(_ *testing.T, d []byte) []byte {
			binary.NativeEndian.PutUint64(d[current(d)*pageSize+16+16:], 1<<50)
			reseal(d)
			return d
		}, "is out of bounds"},
		{"record page lost", func(t *testing.T, d []byte) []byte {
			at := pageOf(t, d, "record 200 ") * pageSize
			clear(d[at : at+pageSize])
			return d
		}, "is not what it should be"},
		{"record page is another one", func(t *testing.T, d []byte) []byte {
			from, to := pageOf(t, d, "record 100 "), pageOf(t, d, "record 300 ")
			copy(d[to*pageSize:][:pageSize], d[from*pageSize:][:pageSize])
			return d
		}, "is not what it should be"},
		{"a bit of a record", func(t *testing.T, d []byte) []byte {
			d[bytes.LastIndex(d, []byte("record 200 "))] ^= 1
			return d
		}, "does not match its checksum"},
		{"a bit of a key", func(t *testing.T, d []byte) []byte {
			d[bytes.LastIndex(d, []byte("record 200 "))-1] ^= 0x01
			return d
		}, ""},
	}
	for _, clean := range []bool{true, false} {
		base := image(t, clean)
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s clean=%v", test.name, clean), func(t *testing.T) {
				data := test.damage(t, bytes.Clone(base))
				dir, path := putFile(t, data)
				_, err := bolt.Open(context.Background(), dir, quiet)
				var damaged *store.CorruptError
				if !errors.As(err, &damaged) {
					t.Fatalf("Open: %v, want a CorruptError", err)
				}
				if damaged.Path != path || !strings.Contains(damaged.Found, test.found) {
					t.Errorf("found %q in %s, want %q", damaged.Found, damaged.Path, test.found)
				}
				if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move the file aside") {
					t.Errorf("the message does not say which file and what to do: %v", err)
				}
				wantUnchanged(t, path, data)
			})
		}
	}
}

func wantUnchanged(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the refused file was changed")
	}
}

func TestOpenRefusesForeign(t *testing.T) {
	edit := func(t *testing.T, fn func(tx *bbolt.Tx) error) []byte {
		t.Helper()
		_, path := putFile(t, image(t, true))
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(fn), db.Close()); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	otherBolt := func(opts *bbolt.Options) func(t *testing.T) []byte {
		return func(t *testing.T) []byte {
			path := filepath.Join(tempDir(t), "other.db")
			db, err := bbolt.Open(path, 0o600, opts)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte("widgets"))
				if err != nil {
					return err
				}
				return b.Put([]byte("a"), []byte("b"))
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
	for _, test := range []struct {
		name  string
		make  func(t *testing.T) []byte
		site  string
		found string
	}{
		{"text", func(*testing.T) []byte { return []byte("nodes:\n- name: cs-db-01\n") }, "", `begins with "nodes:\n- name: c"`},
		{"SQLite", func(*testing.T) []byte { return append([]byte("SQLite format 3\x00"), make([]byte, 8176)...) }, "", "SQLite format 3"},
		{"one byte", func(*testing.T) []byte { return []byte("x") }, "", `begins with "x"`},
		{"another program's bbolt", otherBolt(nil), "", "database of another program"},
		{"another program's bbolt without a list of free pages", otherBolt(&bbolt.Options{NoFreelistSync: true}), "", "database of another program"},
		{"newer format", func(t *testing.T) []byte {
			return edit(t, func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{0, 0, 0, 2})
			})
		}, "", "it has format 2 and this version reads format 1"},
		{"another site", func(t *testing.T) []byte { return image(t, true) }, "berlin", `not "berlin"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := test.make(t)
			dir, path := putFile(t, data)
			o := quiet
			o.Site = test.site
			_, err := bolt.Open(context.Background(), dir, o)
			var foreign *store.ForeignError
			if !errors.As(err, &foreign) {
				t.Fatalf("Open: %v, want a ForeignError", err)
			}
			if foreign.Path != path || !strings.Contains(foreign.Found, test.found) || foreign.Do == "" {
				t.Errorf("error %v, want one that names %s and %q", err, path, test.found)
			}
			wantUnchanged(t, path, data)
		})
	}
	t.Run("directory", func(t *testing.T) {
		dir := tempDir(t)
		if err := os.Mkdir(filepath.Join(dir, bolt.FileName), 0o700); err != nil {
			t.Fatal(err)
		}
		if s, err := bolt.Open(context.Background(), dir, quiet); err == nil {
			_ = s.Close()
			t.Error("a directory was opened")
		}
	})
}

// What the limits of the first check leave unseen is found on the way.
func TestDamageFoundWhileReading(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(data []byte)
	}{
		{"a bit of a record", func(d []byte) { d[bytes.LastIndex(d, []byte("record 200 "))] ^= 1 }},
		{"a page of records", func(d []byte) {
			at := pageOf(t, d, "record 200 ") * pageSize
			clear(d[at : at+pageSize])
		}},
		{"a page whose keys point nowhere", func(d []byte) {
			at := pageOf(t, d, "record 200 ") * pageSize
			for i := at + 16; i < at+64; i++ {
				d[i] = 0xFF
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := image(t, true)
			test.damage(data)
			dir, _ := putFile(t, data)
			o := quiet
			o.CheckTime = 1 // a nanosecond: see nothing
			s, err := bolt.Open(context.Background(), dir, o)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			defer func() { _ = s.Close() }()
			seen, err := readAndVerify(s)
			var damaged *store.CorruptError
			if !errors.As(err, &damaged) {
				t.Errorf("Read: %v, want a CorruptError", err)
			}
			if seen >= 200 {
				t.Errorf("%d records were read past the damage", seen)
			}
		})
	}
}

// readAndVerify returns the last record and the first error.
func readAndVerify(s *bolt.Store) (last uint64, err error) {
	err = s.Read(context.Background(), 0, func(r store.Record) error {
		if want := payload(r.Seq); r.Seq != last+1 || !bytes.Equal(r.Data, want) {
			return fmt.Errorf("record %d after %d is %q, want %q", r.Seq, last, r.Data, want)
		}
		last = r.Seq
		return nil
	})
	return last, err
}

func TestDamagedSnapshotFallsBack(t *testing.T) {
	data := image(t, true)
	// The newest snapshot is 5000 bytes of 44 (300), the one before of 200.
	newest, older := bytes.Repeat([]byte{44}, 5000), bytes.Repeat([]byte{200}, 5000)
	data[bytes.LastIndex(data, newest)+17] ^= 1
	check := func(data []byte, wantOK bool, want store.Snapshot) {
		t.Helper()
		dir, _ := putFile(t, data)
		s := open(t, dir)
		defer func() { _ = s.Close() }()
		got, ok, err := s.LoadSnapshot(context.Background())
		if err != nil || ok != wantOK || got.Seq != want.Seq || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("LoadSnapshot = %d bytes at %d, %v, %v; want %d", len(got.Data), got.Seq, ok, err, want.Seq)
		}
		var damaged *store.CorruptError
		if !errors.As(got.Skipped, &damaged) || !strings.Contains(got.Skipped.Error(), "the snapshot at 320: it does not match its checksum") {
			t.Errorf("Skipped = %v, want the reason", got.Skipped)
		}
		if last, err := readAndVerify(s); last != 400 || err != nil {
			t.Errorf("the log ends at %d: %v", last, err)
		}
	}
	check(data, true, store.Snapshot{Seq: 220, Data: older})
	data[bytes.LastIndex(data, older)+17] ^= 1
	check(data, false, store.Snapshot{})
}
