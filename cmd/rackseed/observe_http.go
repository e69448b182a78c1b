package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/image"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

// watch records the files that next hands to machines: loaders, kernels and
// initrds each, what an installer reads from a repository in sums.
func (o *observer) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, answerPrefix) {
			o.watchAnswer(next, w, r)
			return
		}
		what, name := o.fileOf(r.URL.Path)
		if what == "" || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		begin := o.now()
		counting := &counter{ResponseWriter: w}
		next.ServeHTTP(counting, r)
		ap, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return
		}
		e, ok := o.entry(flight.HTTP, what, ap.Addr().Unmap())
		if !ok {
			return
		}
		e.Name, e.Bytes, e.Took = name, counting.sent, e.At.Sub(begin)
		counting.describe(&e, r)
		if what == filesOf {
			o.tally.add(e, counting.status)
			return
		}
		o.flight.Record(e)
	})
}

// answerPrefix begins the paths of answer files; a token follows.
const answerPrefix = "/answer/"

// watchAnswer records that a machine was refused its own answer files because
// it asked from another address than its own. What is served is recorded with
// the decision behind it.
func (o *observer) watchAnswer(next http.Handler, w http.ResponseWriter, r *http.Request) {
	counting := &counter{ResponseWriter: w}
	next.ServeHTTP(counting, r)
	if counting.status != http.StatusNotFound {
		return
	}
	token, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, answerPrefix), "/")
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	m, ok := o.state().MachineByToken(seal.HashToken(token))
	if err != nil || !ok || !m.Running() {
		return
	}
	from := ap.Addr().Unmap()
	if at, ok := o.state().MachineByAddr(from); ok && at.Node.Name == m.Node.Name {
		return
	}
	o.flight.Record(flight.Entry{
		At: o.now(), Source: flight.HTTP, Node: m.Node.Name, Addr: from, Attempt: m.Attempt.Number,
		What: "answer", Name: site.Printable(name, 64), Detail: flight.Refused + ": it asked from an address that is not its own",
	})
}

// filesOf is what an installer reads: packages, their lists, its own system.
const filesOf = "repository"

// fileOf says what a path stands for; nothing for documents, which are
// recorded with the decision behind them.
func (o *observer) fileOf(path string) (what, name string) {
	if file, ok := strings.CutPrefix(path, "/boot/"); ok {
		if strings.HasSuffix(file, ".ipxe") || strings.Contains(file, "/") {
			return "", ""
		}
		return "loader", file
	}
	rest, ok := strings.CutPrefix(path, image.URLPrefix)
	if !ok {
		return "", ""
	}
	digest, file, _ := strings.Cut(rest, "/")
	file = strings.TrimLeft(file, "/")
	if file == "" {
		return filesOf, digest
	}
	i, ok := o.state().ImageByDigest(digest)
	switch {
	case !ok:
		return filesOf, file
	case file == i.Kernel:
		return "kernel", file
	case file == i.Initrd:
		return "initrd", file
	case file == i.Stage2:
		return "stage2", file
	default:
		return filesOf, file
	}
}

// counter counts the bytes of an answer. It passes ReadFrom on, without
// which there is no sendfile.
type counter struct {
	http.ResponseWriter
	status int
	sent   int64
}

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent += int64(n)
	return n, err
}

func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.sent += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counter) describe(e *flight.Entry, r *http.Request) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	length := c.Header().Get("Content-Length")
	switch {
	case c.status >= http.StatusBadRequest:
		e.Detail = fmt.Sprintf("answered %d %s", c.status, http.StatusText(c.status))
	case length != "" && length != fmt.Sprint(c.sent):
		e.Detail = "ended early: of " + length + " bytes"
	case c.status == http.StatusPartialContent:
		e.Detail = "a part: " + r.Header.Get("Range")
	}
}

// tally adds up what a machine reads from a repository.
type tally struct {
	flush func(flight.Entry)

	mu   sync.Mutex
	sums map[netip.Addr]*sum
}

type sum struct {
	flight.Entry
	begin   time.Time
	files   int
	missing []string
	early   int
}

const (
	tallyIdle    = 3 * time.Second  // without a file, a sum is recorded
	tallyLongest = 60 * time.Second // and no later than this, for whoever watches
	maxMissing   = 5                // names that are kept
)

func (t *tally) add(e flight.Entry, status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sums == nil {
		t.sums = map[netip.Addr]*sum{}
	}
	s := t.sums[e.Addr]
	if s != nil && (s.Node != e.Node || s.Attempt != e.Attempt) {
		t.flush(s.entry())
		s = nil
	}
	if s == nil {
		s = &sum{Entry: e, begin: e.At.Add(-e.Took)}
		s.Bytes = 0
		t.sums[e.Addr] = s
	}
	s.At = e.At
	s.files++
	s.Bytes += e.Bytes
	switch {
	case status == http.StatusNotFound && len(s.missing) < maxMissing && !slices.Contains(s.missing, e.Name):
		s.missing = append(s.missing, e.Name)
	case strings.HasPrefix(e.Detail, "ended early"):
		s.early++
	}
}

func (s *sum) entry() flight.Entry {
	e := s.Entry
	e.Took, e.Name = e.At.Sub(s.begin), ""
	e.Detail = fmt.Sprintf("%d files", s.files)
	if s.files == 1 {
		e.Detail, e.Name = "1 file", s.Name
	}
	if len(s.missing) > 0 {
		e.Detail += "; not there: " + strings.Join(s.missing, ", ")
	}
	if s.early > 0 {
		e.Detail += fmt.Sprintf("; %d ended early", s.early)
	}
	return e
}

// settle records the sums that nothing was added to for a while.
func (t *tally) settle(now time.Time, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for addr, s := range t.sums {
		if all || now.Sub(s.At) >= tallyIdle || now.Sub(s.begin) >= tallyLongest {
			t.flush(s.entry())
			delete(t.sums, addr)
		}
	}
}

// run settles sums until ctx ends, and then all of them.
func (t *tally) run(ctx context.Context, now func() time.Time) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			t.settle(now(), true)
			return nil
		case <-tick.C:
			t.settle(now(), false)
		}
	}
}
