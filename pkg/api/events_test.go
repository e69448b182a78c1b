package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

func TestEventsByPage(t *testing.T) {
	w := planned(t)
	all := decode[[]site.Event](t, w.call("GET", "/api/v1/events", ""))
	same(t, "events", uint64(len(all)), w.seq())
	page := decode[[]site.Event](t, w.call("GET", "/api/v1/events?since=2&limit=3", ""))
	same(t, "events of a page", len(page), 3)
	same(t, "the first", page[0].Seq, 3)
	same(t, "an empty page", w.call("GET", "/api/v1/events?since=999", "").Body.String(), "[]\n")
}

// stream is one reader of server-sent events.
type stream struct {
	t     *testing.T
	lines *bufio.Reader
	close func()
	beats int    // messages without an event
	seen  uint64 // the id of the last of them
}

func follow(t *testing.T, base, query, lastID string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/events"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	c := &http.Client{Transport: &http.Transport{}}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the type", resp.Header.Get("Content-Type"), "text/event-stream")
	return &stream{t: t, lines: bufio.NewReader(resp.Body), close: func() {
		cancel()
		resp.Body.Close()
		c.CloseIdleConnections()
	}}
}

// next gives the id, the name and the event of the next message.
func (s *stream) next() (uint64, string, site.Event) {
	s.t.Helper()
	var id uint64
	var name string
	var e site.Event
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case "id":
			id, err = strconv.ParseUint(value, 10, 64)
		case "event":
			name = value
		case "data":
			err = json.Unmarshal([]byte(value), &e)
		case "":
			if e.Body != nil { // else it is the heartbeat
				return id, name, e
			}
			s.beats, s.seen = s.beats+1, id
		}
		if err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
	}
}

// TestStreamResumes: a reader that was cut off gets what it missed and then
// what happens, each once and in order.
func TestStreamResumes(t *testing.T) {
	w := planned(t)
	server := httptest.NewServer(w.operator)
	defer server.Close()

	s := follow(t, server.URL, "?since=2", "")
	for want := uint64(3); want <= 4; want++ {
		id, name, e := s.next()
		same(t, "id", id, want)
		same(t, "seq", e.Seq, want)
		same(t, "name", name, e.Body.Kind())
	}
	s.close()

	w.arm("d1")
	s = follow(t, server.URL, "?since=2", "4") // the header is the newer word
	defer s.close()
	for want := uint64(5); want <= w.seq(); want++ {
		id, _, _ := s.next()
		same(t, "id", id, want)
	}
	w.arm("d2") // as it happens
	id, name, e := s.next()
	same(t, "id", id, w.seq())
	same(t, "name", name, "armed")
	same(t, "subject", e.Body.Subject(), "d2")
}

func TestStreamEndsWithTheLedger(t *testing.T) {
	w := planned(t)
	server := httptest.NewServer(w.operator)
	defer server.Close()
	s := follow(t, server.URL, "?since="+strconv.FormatUint(w.seq(), 10), "")
	defer s.close()
	w.store.breakWith(http.ErrAbortHandler)
	w.call("POST", "/api/v1/arm", `{"selector": "d1"}`)
	<-w.ended
	for { // a heartbeat may be on its way
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "data:") {
			t.Fatalf("it went on with %q", line)
		}
	}
}

// TestFiltersPick: by node and by kind, in pages and as it happens; what is
// left out counts as seen, so that nobody reads it again.
func TestFiltersPick(t *testing.T) {
	w := planned(t)
	w.arm("d1,r1")
	kinds := func(query string) (all []string) {
		for _, e := range decode[[]site.Event](t, w.call("GET", "/api/v1/events?"+query, "")) {
			all = append(all, e.Body.Kind()+" "+e.Body.Subject())
		}
		return all
	}
	same(t, "by node", strings.Join(kinds("selector=d1"), ", "), "node-planned d1, armed d1")
	same(t, "by role", strings.Join(kinds("selector=role%3Drpm"), ", "), "node-planned r1, armed r1")
	same(t, "by kind", strings.Join(kinds("kind=armed,image-removed"), ", "), "armed d1, armed r1")
	same(t, "by both", strings.Join(kinds("kind=armed&selector=r1"), ", "), "armed r1")
	same(t, "a page of one", strings.Join(kinds("kind=armed&limit=1"), ", "), "armed d1")
	same(t, "nothing", len(kinds("kind=node-held")), 0)
	w.problem("GET", "/api/v1/events?selector=nobody", "", 400, "usage")
	w.problem("GET", "/api/v1/events?selector=%26", "", 400, "usage")

	server := httptest.NewServer(w.operator)
	defer server.Close()
	s := follow(t, server.URL, "?selector=d1&kind=disarmed", "")
	defer s.close()
	w.call("POST", "/api/v1/disarm", `{"selector": "r1"}`)
	missed := w.seq()
	for s.seen < missed { // it has passed by
		if line, err := s.lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		} else if id, ok := strings.CutPrefix(line, "id: "); ok {
			s.seen, _ = strconv.ParseUint(strings.TrimSpace(id), 10, 64)
		}
	}
	w.call("POST", "/api/v1/disarm", `{"selector": "d1"}`)
	_, name, e := s.next()
	same(t, "what comes", name+" "+e.Body.Subject(), "disarmed d1")
}
