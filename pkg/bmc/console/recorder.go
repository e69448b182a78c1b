package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

const (
	// most is how many consoles are recorded at a time: each is a session that
	// polls its BMC twenty times a second.
	most = 128
	// prompt is how long part of a line waits for its end.
	prompt = 2 * time.Second
)

// DefaultFor and Longest bound a recording that nobody ends.
const (
	DefaultFor = time.Hour
	Longest    = 24 * time.Hour
)

// Config is what a recorder works with. All of it is needed but Retry.
type Config struct {
	// Dial opens a session for the console of a node. It must not take a
	// console from a person.
	Dial func(ctx context.Context, node string) (bmc.Driver, error)
	Tell func(node, line string)
	// Say is told how the recording goes.
	Say   func(node, what string)
	Retry time.Duration // after a console was lost or is somebody else's; zero means 15 s
}

// Recorder records consoles until it is told to stop, or their time is up. A
// BMC that restarts, and a console that somebody took over, is tried again.
type Recorder struct {
	c       Config
	started chan struct{}
	running sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context // of Run
	stopped bool
	tapes   map[string]*tape
}

// tape is one console that is recorded.
type tape struct {
	since, until time.Time
	lines        int
	state        string
	stop         context.CancelFunc
	timer        *time.Timer
	done         chan struct{}
}

// Recording is a console that is being recorded.
type Recording struct {
	Node  string
	Since time.Time
	Until time.Time
	Lines int
	State string
}

// New makes a recorder, which Run sets going.
func New(c Config) *Recorder {
	if c.Retry == 0 {
		c.Retry = 15 * time.Second
	}
	return &Recorder{c: c, started: make(chan struct{}), tapes: map[string]*tape{}}
}

// Run returns when ctx has ended and every console is let go.
func (r *Recorder) Run(ctx context.Context) error {
	r.mu.Lock()
	r.ctx = ctx
	r.mu.Unlock()
	close(r.started)
	<-ctx.Done()
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.running.Wait()
	return nil
}

// Start records the console of a node for a while, or for longer, if it is
// recorded already.
func (r *Recorder) Start(node string, d time.Duration) error {
	if d <= 0 {
		d = DefaultFor
	}
	if d > Longest {
		return fmt.Errorf("a console is recorded for %s at most", Longest)
	}
	<-r.started
	r.mu.Lock()
	defer r.mu.Unlock()
	until := time.Now().Add(d)
	if t, ok := r.tapes[node]; ok {
		if until.After(t.until) {
			t.until = until
			t.timer.Reset(d)
		}
		return nil
	}
	switch {
	case r.stopped:
		return errors.New("the daemon is stopping")
	case len(r.tapes) >= most:
		return fmt.Errorf("%d consoles are recorded already, and no more are at a time: end some with `rackseed console NODE --stop-recording`", most)
	}
	ctx, stop := context.WithCancel(r.ctx)
	t := &tape{since: time.Now(), until: until, stop: stop, timer: time.AfterFunc(d, stop), state: "begins", done: make(chan struct{})}
	r.tapes[node] = t
	r.running.Go(func() {
		defer close(t.done)
		r.record(ctx, node, t)
		t.timer.Stop()
		stop()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.tapes, node)
	})
	return nil
}

// Stop ends a recording, and returns when the console is let go.
func (r *Recorder) Stop(node string) bool {
	r.mu.Lock()
	t, ok := r.tapes[node]
	r.mu.Unlock()
	if !ok {
		return false
	}
	t.stop()
	<-t.done
	return true
}

// List is what is recorded now, by node.
func (r *Recorder) List() []Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Recording
	for node, t := range r.tapes {
		list = append(list, Recording{Node: node, Since: t.since, Until: t.until, Lines: t.lines, State: t.state})
	}
	slices.SortFunc(list, func(a, b Recording) int { return strings.Compare(a.Node, b.Node) })
	return list
}

// Copy records what a reader says as the console of a node, until its end:
// a person's own session.
func (r *Recorder) Copy(ctx context.Context, node string, in io.Reader) (lines int, err error) {
	l := &Lines{Tell: func(line string) {
		lines++
		r.c.Tell(node, line)
	}}
	return lines, copyLines(ctx, l, in, func() {})
}

func (r *Recorder) record(ctx context.Context, node string, t *tape) {
	r.c.Say(node, "the console is recorded")
	lines := &Lines{Tell: func(line string) {
		r.mu.Lock()
		t.lines++
		r.mu.Unlock()
		r.c.Tell(node, line)
	}}
	last := ""
	for ctx.Err() == nil {
		err := r.listen(ctx, node, t, lines)
		if ctx.Err() != nil {
			break
		}
		what := "the console was lost"
		if err != nil {
			what = err.Error()
		}
		if what != last {
			r.c.Say(node, what+"; it is tried again")
		}
		last = what
		r.is(t, what)
		select {
		case <-ctx.Done():
		case <-time.After(r.c.Retry):
		}
	}
	r.c.Say(node, "the console is not recorded any more")
}

func (r *Recorder) is(t *tape, state string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.state = state
}

// listen has one session with a console.
func (r *Recorder) listen(ctx context.Context, node string, t *tape, lines *Lines) error {
	login, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	d, err := r.c.Dial(login, node)
	if err != nil {
		return err
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = d.Close(bye)
	}()
	port, err := d.Console(login)
	if err != nil {
		return err
	}
	r.is(t, "recording")
	return copyLines(ctx, lines, port, func() { _ = port.Close() })
}

// copyLines reads until the end, or until ctx has ended, and tells a prompt
// that has no end after a while. hangUp makes a read return.
func copyLines(ctx context.Context, lines *Lines, in io.Reader, hangUp func()) error {
	chunks := make(chan []byte)
	var lost error // read after chunks is closed
	go func() {
		defer close(chunks)
		for {
			buffer := make([]byte, 2048)
			n, err := in.Read(buffer)
			if n > 0 {
				chunks <- buffer[:n]
			}
			if err != nil {
				lost = err
				return
			}
		}
	}()
	quiet := time.NewTimer(prompt)
	defer quiet.Stop()
	ended := ctx.Done()
	for {
		select {
		case chunk, ok := <-chunks:
			if !ok {
				lines.Flush()
				hangUp()
				if errors.Is(lost, io.EOF) {
					return nil
				}
				return lost
			}
			_, _ = lines.Write(chunk) // it never fails
			quiet.Reset(prompt)
		case <-quiet.C:
			if lines.Waiting() {
				lines.Flush()
			}
		case <-ended:
			ended = nil
			go hangUp() // which has the reader end, and waits for it
		}
	}
}
