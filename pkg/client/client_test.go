package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everyWay runs a test over each way to reach an operator side.
func everyWay(t *testing.T, h http.Handler, test func(t *testing.T, c *client.Client)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) { test(t, client.Handler(h)) })
	t.Run("URL", func(t *testing.T) {
		s := httptest.NewServer(h)
		defer s.Close()
		defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		test(t, client.URL(s.URL))
	})
	t.Run("socket", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(h)
		s.Listener.Close()
		s.Listener = l
		s.Start()
		defer s.Close()
		test(t, client.Unix(path))
	})
}

func events(n int) []site.Event {
	all := make([]site.Event, n)
	for i := range all {
		all[i] = site.Event{Seq: uint64(i + 1), At: time.Unix(0, 0).UTC(), Body: site.Disarmed{Node: fmt.Sprint("n", i+1), By: "ops"}}
	}
	return all
}

func reply(w http.ResponseWriter, doc any) { json.NewEncoder(w).Encode(doc) }

func TestRequests(t *testing.T) {
	var got string
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = strings.TrimSuffix(fmt.Sprintf("%s %s %s", r.Method, strings.TrimSuffix(r.URL.RequestURI(), "?"), body), " ")
		switch {
		case strings.HasSuffix(r.URL.Path, "/render"):
			io.WriteString(w, "a document")
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/api/v1/nodes", r.URL.Path == "/api/v1/images" && r.Method == http.MethodGet:
			io.WriteString(w, "[]")
		default:
			io.WriteString(w, "{}")
		}
	})
	everyWay(t, h, func(t *testing.T, c *client.Client) {
		ctx := t.Context()
		for want, call := range map[string]func() error{
			"GET /api/v1/status":                       func() error { _, err := c.Status(ctx); return err },
			"GET /api/v1/nodes":                        func() error { _, err := c.Nodes(ctx, ""); return err },
			"GET /api/v1/nodes?selector=role%3Da+%26b": func() error { _, err := c.Nodes(ctx, "role=a &b"); return err },
			"GET /api/v1/nodes/a%2Fb%3Fc":              func() error { _, err := c.Node(ctx, "a/b?c"); return err },
			"GET /api/v1/explain/..%2F..":              func() error { _, err := c.Explain(ctx, "../.."); return err },
			"GET /api/v1/nodes/n1/profile":             func() error { _, err := c.Profile(ctx, "n1"); return err },
			"GET /api/v1/export/kolla":                 func() error { _, err := c.Export(ctx, "kolla"); return err },
			"GET /api/v1/nodes/n1/render?as=ipxe&secrets=true": func() error {
				text, err := c.Render(ctx, "n1", "ipxe", true)
				if text != "a document" {
					t.Errorf("rendered %q", text)
				}
				return err
			},
			`PUT /api/v1/plan?by=ops&dry_run=true&name=p.yaml {"plan":"site: x","profiles":{"p":"name: p"}}`: func() error {
				_, err := c.Plan(ctx, "p.yaml", view.PlanRequest{Plan: "site: x", Profiles: map[string]string{"p": "name: p"}}, "ops", true)
				return err
			},
			`POST /api/v1/arm {"selector":"n1","by":"ops"}`: func() error { _, err := c.Arm(ctx, view.ArmRequest{Selector: "n1", By: "ops"}); return err },
			`POST /api/v1/disarm {"selector":"n1"}`:         func() error { _, err := c.Disarm(ctx, view.ArmRequest{Selector: "n1"}); return err },
			"GET /api/v1/images":                            func() error { _, err := c.Images(ctx); return err },
			"DELETE /api/v1/images/a%20b":                   func() error { return c.RemoveImage(ctx, "a b") },
		} {
			if err := call(); err != nil || got != want {
				t.Errorf("sent %q, %v, want %q", got, err, want)
			}
		}
	})
}

func TestProblemsBecomeErrors(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		if strings.HasSuffix(r.URL.Path, "/odd") {
			io.WriteString(w, "  no document\n")
			return
		}
		reply(w, view.Problem{Status: 409, Detail: "n1 is being installed", Code: "refused"})
	})
	everyWay(t, h, func(t *testing.T, c *client.Client) {
		var problem *client.Error
		if _, err := c.Node(t.Context(), "n1"); !errors.As(err, &problem) || problem.Code != "refused" || err.Error() != "n1 is being installed" {
			t.Errorf("got %v", err)
		}
		if _, err := c.Node(t.Context(), "odd"); err == nil || !strings.Contains(err.Error(), "409") || !strings.Contains(err.Error(), "no document") {
			t.Errorf("got %v", err)
		}
	})
}

func TestNoDaemon(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := "http://" + l.Addr().String()
	l.Close()
	stale := filepath.Join(t.TempDir(), "stale")
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	u.SetUnlinkOnClose(false)
	u.Close()
	for name, c := range map[string]*client.Client{
		"no socket": client.Unix(filepath.Join(t.TempDir(), "none")), "a socket that was left over": client.Unix(stale), "no listener": client.URL(free),
	} {
		if _, err := c.Status(t.Context()); !errors.Is(err, client.ErrNoDaemon) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSocketOfAnotherUser: the daemon runs as root, and somebody forgot sudo.
func TestSocketOfAnotherUser(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("needs a user other than root: root may use every socket")
	}
	path := filepath.Join(t.TempDir(), "rackseed.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Unix(path).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "with sudo") {
		t.Errorf("%v", err)
	}
}

// TestEventsReadEveryPage: the daemon bounds a page, not the reader.
func TestEventsReadEveryPage(t *testing.T) {
	all := events(25)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		since, _ := strconv.Atoi(r.URL.Query().Get("since"))
		reply(w, all[min(since, 25):min(since+10, 25)])
	})
	everyWay(t, h, func(t *testing.T, c *client.Client) {
		want := uint64(4)
		for e, err := range c.Events(t.Context(), 3) {
			if err != nil || e.Seq != want {
				t.Fatalf("event %d, %v, want %d", e.Seq, err, want)
			}
			want++
		}
		if want != 26 {
			t.Errorf("it ended before event %d", want)
		}
		for range c.Events(t.Context(), 0) {
			break // a reader may stop
		}
	})
}

// TestFollow: comments and names are passed over; the end of the stream is an
// error that says so, unless the reader ended it.
func TestFollow(t *testing.T) {
	left := make(chan struct{}, 8)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" {
			t.Error("it does not ask for a stream")
		}
		out := http.NewResponseController(w)
		for _, e := range events(3) {
			data, _ := json.Marshal(e)
			fmt.Fprintf(w, ":\n\nid: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Body.Kind(), data)
		}
		out.Flush()
		if r.URL.Query().Get("since") == "0" {
			return
		}
		for { // until the reader has gone
			if _, err := io.WriteString(w, ":\n\n"); err != nil || out.Flush() != nil || r.Context().Err() != nil {
				left <- struct{}{}
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	everyWay(t, h, func(t *testing.T, c *client.Client) {
		seen := uint64(0)
		var last error
		for e, err := range c.Follow(t.Context(), 0) {
			if last = err; err == nil {
				seen = e.Seq
			}
		}
		if seen != 3 || !errors.Is(last, client.ErrNoDaemon) {
			t.Errorf("it ended after event %d with %v", seen, last)
		}

		ctx, cancel := context.WithCancel(t.Context())
		for e, err := range c.Follow(ctx, 1) {
			if err != nil {
				t.Errorf("after its context ended it gave %v", err)
			}
			if e.Seq == 3 {
				cancel()
			}
		}
		<-left
		for range c.Follow(t.Context(), 1) {
			break // a reader may stop without a word
		}
		<-left
		cancel()
	})
}

func TestAddImage(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req view.ImageRequest
		json.NewDecoder(r.Body).Decode(&req)
		io.WriteString(w, `{"done":1,"total":2}`+"\n")
		http.NewResponseController(w).Flush()
		switch req.Name {
		case "good":
			io.WriteString(w, `{"image":{"name":"good","digest":"d","warnings":["odd"]}}`)
		case "bad":
			io.WriteString(w, `{"problem":{"detail":"it is no medium","code":"failed"}}`)
		}
	})
	everyWay(t, h, func(t *testing.T, c *client.Client) {
		var told []int64
		tell := func(done, total int64) { told = append(told, done, total) }
		i, err := c.AddImage(t.Context(), view.ImageRequest{Name: "good"}, tell)
		if err != nil || i.Digest != "d" || len(i.Warnings) != 1 || len(told) != 2 || told[1] != 2 {
			t.Errorf("%+v, %v, progress %v", i, err, told)
		}
		var problem *client.Error
		if _, err := c.AddImage(t.Context(), view.ImageRequest{Name: "bad"}, tell); !errors.As(err, &problem) || problem.Detail != "it is no medium" {
			t.Errorf("got %v", err)
		}
		if _, err := c.AddImage(t.Context(), view.ImageRequest{Name: "cut"}, tell); err == nil || !strings.Contains(err.Error(), "went away") {
			t.Errorf("got %v", err)
		}
	})
}

func TestCancelled(t *testing.T) {
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	everyWay(t, h, func(t *testing.T, c *client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
