package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// port is a BMC whose console says what it is given.
type port struct {
	bmc.Driver
	w      *io.PipeWriter
	r      *io.PipeReader
	err    error
	closed int
}

func newPort() *port {
	p := &port{}
	p.r, p.w = io.Pipe()
	return p
}

type stream struct{ *io.PipeReader }

func (stream) Write(p []byte) (int, error) { return len(p), nil }

func (p *port) Console(context.Context) (io.ReadWriteCloser, error) {
	if p.err != nil {
		return nil, p.err
	}
	return stream{p.r}, nil
}
func (p *port) Close(context.Context) error { p.closed++; return nil }

// TestRecorder follows a recording through a BMC that is away, a console that
// is somebody else's, one that is lost, and its end.
func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var said []string
		note := func(kind string) func(node, what string) {
			return func(node, what string) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, node+" "+kind+" "+what)
			}
		}
		first, second := newPort(), newPort()
		taken := newPort()
		taken.err = fmt.Errorf("%w: somebody else has the console", bmc.ErrBusy)
		answers := []any{bmc.ErrUnreachable, bmc.ErrUnreachable, taken, first, second}
		r := New(Config{Tell: note(">"), Say: note("·"), Dial: func(context.Context, string) (bmc.Driver, error) {
			next := answers[0]
			answers = answers[1:]
			if err, ok := next.(error); ok {
				return nil, err
			}
			return next.(*port), nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		if err := r.Start("n", 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		fmt.Fprint(first.w, "Linux version 6\r\n\x1b[1mn login: ")
		time.Sleep(3 * time.Second)
		if list := r.List(); len(list) != 1 || list[0].Lines != 2 || list[0].State != "recording" {
			t.Errorf("%+v", list)
		}
		first.w.CloseWithError(io.EOF)
		time.Sleep(16 * time.Second)
		fmt.Fprintln(second.w, "again")
		synctest.Wait()
		if !r.Stop("n") || r.Stop("n") || len(r.List()) != 0 {
			t.Error("it does not end")
		}
		if first.closed != 1 || second.closed != 1 || taken.closed != 1 {
			t.Errorf("sessions were closed %d, %d and %d times", first.closed, second.closed, taken.closed)
		}
		want := `n · the console is recorded
n · the BMC does not answer; it is tried again
n · the BMC has no free session: somebody else has the console; it is tried again
n > Linux version 6
n > n login:
n · the console was lost; it is tried again
n > again
n · the console is not recorded any more`
		if got := strings.Join(said, "\n"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := r.Start("n", 0); err == nil {
			t.Error("it starts after its end")
		}
	})
}

// TestRecorderEnds: by its time, and with the daemon.
func TestRecorderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{Tell: func(string, string) {}, Say: func(string, string) {}, Dial: func(context.Context, string) (bmc.Driver, error) { return newPort(), nil }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		if err := r.Start("a", Longest+1); err == nil {
			t.Error("it records for ever")
		}
		for i := range most {
			if err := r.Start(fmt.Sprint("n", i), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Start("one-more", 0); err == nil || !strings.Contains(err.Error(), "recorded already") {
			t.Errorf("%v", err)
		}
		if err := r.Start("n0", time.Hour); err != nil {
			t.Errorf("for longer: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if list := r.List(); len(list) != 1 || list[0].Node != "n0" {
			t.Errorf("%d are left", len(list))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestCopy(t *testing.T) {
	var got []string
	r := New(Config{Tell: func(node, line string) { got = append(got, node+line) }})
	n, err := r.Copy(t.Context(), "n", strings.NewReader("a\nb\n"))
	if n != 2 || err != nil || strings.Join(got, " ") != "na nb" {
		t.Errorf("%d, %v, %q", n, err, got)
	}
	broken := errors.New("broken")
	if _, err := r.Copy(t.Context(), "n", io.MultiReader(strings.NewReader("c"), failing{broken})); !errors.Is(err, broken) || got[2] != "nc" {
		t.Errorf("%v, %q", err, got)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
