package bolt_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
)

// helperEnv makes this test binary the victim of the fault tests: a writer
// that says on stdout what was acknowledged.
const helperEnv = "RACKSEED_BOLT_WRITER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(helperEnv); spec != "" {
		if err := writer(spec, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// tempDir is in memory where there is such a place: most tests are about what
// was asked of the disk, not about the disk, and sync thousands of times.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "rackseed-bolt-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// batch is how many records the writer appends at once.
const batch = 7

// writer appends in "DIR|COMMITS|TRIES" until COMMITS appends were
// acknowledged (0: for ever) or TRIES failed, with a snapshot every tenth
// time. It prints "ack LAST", "err MESSAGE" and "closed".
func writer(spec string, out io.Writer) error {
	runtime.LockOSThread() // strace counts the calls of each thread
	fields := strings.Split(spec, "|")
	commits, _ := strconv.Atoi(fields[1])
	tries, _ := strconv.Atoi(fields[2])
	ctx := context.Background()
	s, err := bolt.Open(ctx, fields[0], bolt.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	last, err := s.Last(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "ack %d\n", last)
	for done := 0; commits == 0 || done < commits; {
		next, err := s.Append(ctx, last, payloads(last+1, last+batch))
		if err == nil && done%10 == 9 {
			err = s.SaveSnapshot(ctx, store.Snapshot{Seq: next, Data: snapshotAt(next)})
		}
		if next > last {
			last = next
			done++
			fmt.Fprintf(out, "ack %d\n", last)
		}
		if err != nil {
			fmt.Fprintf(out, "err %s\n", kindOf(err))
			fmt.Fprintln(os.Stderr, err)
			if tries--; tries <= 0 {
				break
			}
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	fmt.Fprintln(out, "closed")
	return nil
}

func kindOf(err error) string {
	switch {
	case errors.Is(err, store.ErrFailed):
		return "failed"
	case errors.Is(err, store.ErrNoSpace):
		return "no space"
	default:
		return "other: " + err.Error()
	}
}

func snapshotAt(seq uint64) []byte {
	return bytes.Repeat(payload(seq), 3000)
}

// run is one life of the writer.
type run struct {
	acked  uint64
	lines  []string // without the acks
	stderr string
}

// runWriter starts the writer under the command (which may be nil), calls
// during after every acknowledgement, and waits for its end.
func runWriter(t *testing.T, command []string, dir string, commits, tries int, during func(*os.Process, uint64)) run {
	t.Helper()
	args := append(append([]string{}, command...), os.Args[0], "-test.run=^$")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d|%d", helperEnv, dir, commits, tries))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the writer: %v", err)
	}
	var r run
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word != "ack" {
			r.lines = append(r.lines, lines.Text())
			continue
		}
		if r.acked, err = strconv.ParseUint(rest, 10, 64); err != nil {
			t.Fatalf("the writer said %q", lines.Text())
		}
		if during != nil {
			during(cmd.Process, r.acked)
		}
	}
	_ = cmd.Wait() // the tests judge by what was said and what is in the log
	r.stderr = stderr.String()
	return r
}

// wantLog opens the log after a fault: everything acknowledged is there, every
// append is there as a whole, every snapshot offered is intact.
func wantLog(t *testing.T, dir string, acked uint64) (last uint64) {
	t.Helper()
	s := open(t, dir)
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	last, err := readAndVerify(s)
	if err != nil {
		t.Fatalf("after %d acknowledged: %v", acked, err)
	}
	if last < acked || last%batch != 0 {
		t.Fatalf("the log ends at %d; acknowledged were %d, in batches of %d", last, acked, batch)
	}
	snap, ok, err := s.LoadSnapshot(context.Background())
	if err != nil || snap.Skipped != nil {
		t.Fatalf("LoadSnapshot: %v, skipped %v", err, snap.Skipped)
	}
	if ok && !bytes.Equal(snap.Data, snapshotAt(snap.Seq)) {
		t.Fatalf("the snapshot at %d is wrong", snap.Seq)
	}
	return last
}

// markUnclean makes the log in dir look as after a crash.
func markUnclean(t testing.TB, dir string) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, bolt.FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("clean"), []byte("no")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
