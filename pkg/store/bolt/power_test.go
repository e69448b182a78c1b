package bolt_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/store/bolt"
)

// A killed process leaves its writes to the kernel; a pulled battery does not.
// This test records the writes and syncs of a writer, and builds what a disk
// can hold after a power cut at every moment between them: all that was
// synced, and of the rest any sectors in any order.
func TestPowerCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	variants := 8
	if testing.Short() {
		variants = 1
	}
	dir := tempDir(t)
	runWriter(t, nil, dir, 3, 1, nil)
	base, err := os.ReadFile(filepath.Join(dir, bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	events := record(t, dir)
	d := disk{durable: base}
	acked, cuts, syncs := uint64(3*batch), 0, 0
	for _, e := range events {
		switch e.kind {
		case "ack":
			acked = e.acked
			continue
		case "sync":
			// The cut comes after the sync was asked for and before it returned.
			for range variants {
				d.cut(t, rng, acked)
				cuts++
			}
			d.sync()
			syncs++
		default:
			d.pending = append(d.pending, e)
		}
	}
	d.cut(t, rng, acked)
	if syncs < 2*12 || acked < 15*batch {
		t.Fatalf("the record has %d syncs and ends at %d: too little to mean anything", syncs, acked)
	}
	t.Logf("%d power cuts around %d syncs", cuts+1, syncs)
}

// event is a system call of the writer, or an acknowledgement.
type event struct {
	kind  string // ack, sync, write, truncate
	acked uint64
	off   int64 // or the size
	data  []byte
}

// record runs the writer for 12 commits with a snapshot.
func record(t *testing.T, dir string) []event {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	command := []string{stracePath(t), "-f", "-qq", "-y", "-xx", "-s", "100000000", "-o", log,
		"-e", "trace=pwrite64,fdatasync,fsync,ftruncate,write"}
	r := runWriter(t, command, dir, 12, 1, nil)
	if len(r.lines) != 1 || r.lines[0] != "closed" {
		t.Fatalf("the writer said %q\n%s", r.lines, r.stderr)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var events []event
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if e, ok := parseCall(t, lines.Text()); ok {
			events = append(events, e)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

var (
	// strace -xx prints the path of a descriptor in hex too.
	pwriteCall   = regexp.MustCompile(`^\d+ +pwrite64\(\d+<[^>]*>, "([^"]*)", \d+, (\d+)`)
	truncateCall = regexp.MustCompile(`^\d+ +ftruncate\(\d+<[^>]*>, (\d+)`)
	syncCall     = regexp.MustCompile(`^\d+ +(fdatasync|fsync)\(\d+<[^>]*>\) += 0|<\.\.\. (fdatasync|fsync) resumed>\) += 0`)
	stdoutCall   = regexp.MustCompile(`^\d+ +write\(1<[^>]*>, "([^"]*)"`)
)

func parseCall(t *testing.T, line string) (event, bool) {
	t.Helper()
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	bytesOf := func(s string) []byte {
		data, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if m := pwriteCall.FindStringSubmatch(line); m != nil {
		return event{kind: "write", off: number(m[2]), data: bytesOf(m[1])}, true
	}
	if m := truncateCall.FindStringSubmatch(line); m != nil {
		return event{kind: "truncate", off: number(m[1])}, true
	}
	if syncCall.MatchString(line) {
		return event{kind: "sync"}, true
	}
	if m := stdoutCall.FindStringSubmatch(line); m != nil {
		var acked uint64
		if _, err := fmt.Sscanf(string(bytesOf(m[1])), "ack %d", &acked); err == nil {
			return event{kind: "ack", acked: acked}, true
		}
	}
	return event{}, false
}

// disk is a file behind a cache that a power cut empties.
type disk struct {
	durable []byte
	pending []event
}

func (d *disk) sync() {
	for _, e := range d.pending {
		d.durable = e.apply(d.durable)
	}
	d.pending = nil
}

func (e event) apply(image []byte) []byte {
	if e.kind == "truncate" {
		return append(image, make([]byte, max(0, e.off-int64(len(image))))...)
	}
	if missing := e.off + int64(len(e.data)) - int64(len(image)); missing > 0 {
		image = append(image, make([]byte, missing)...)
	}
	copy(image[e.off:], e.data)
	return image
}

// cut makes one of the possible remains of the file and looks into it.
func (d *disk) cut(t *testing.T, rng *rand.Rand, acked uint64) {
	t.Helper()
	const sector = 512
	image := append([]byte(nil), d.durable...)
	keep := rng.Float64()
	for _, i := range rng.Perm(len(d.pending)) {
		e := d.pending[i]
		if e.kind == "truncate" {
			if rng.Float64() < keep {
				image = e.apply(image)
			}
			continue
		}
		whole := rng.Float64() < keep
		for off := 0; off < len(e.data); off += sector {
			if whole || rng.Float64() < keep/4 {
				image = event{kind: "write", off: e.off + int64(off), data: e.data[off:min(off+sector, len(e.data))]}.apply(image)
			}
		}
	}
	dir, _ := putFile(t, image)
	wantLog(t, dir, acked)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}
