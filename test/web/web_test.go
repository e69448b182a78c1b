// Package web tells stories in a real browser: Chromium, driven by Playwright,
// looks at a real daemon.
package web

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/test/web/rig"
)

// needs skips by name what cannot run here, and gives Chromium's path.
func needs(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser: not with -short")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs node: apt install nodejs")
	}
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		t.Skip("needs playwright-core: npm ci in test/web")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium: apt install chromium")
	}
	return chromium
}

// tell runs one story.
func tell(t *testing.T, name string, args ...string) {
	t.Helper()
	chromium := needs(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "node", append([]string{filepath.Join("stories", name+".mjs")}, args...)...)
	c.Env = append(os.Environ(), "CHROMIUM="+chromium)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "rackseed")
	c := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/rackseed")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}

var page = regexp.MustCompile(`https?://[0-9.:\[\]]+:\d+/`)

// start runs a command that prints the address of its page, until the test
// ends.
func start(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, name, args...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait() // it was told to end
	})
	found := make(chan string, 1)
	go func() { // ends with the command
		for s := bufio.NewScanner(out); s.Scan(); {
			if url := page.FindString(s.Text()); url != "" {
				select {
				case found <- url:
				default: // said before
				}
			}
		}
	}()
	select {
	case url := <-found:
		return url
	case <-time.After(time.Minute):
		t.Fatalf("%s %v printed no address", name, args)
		return ""
	}
}

const machines = 8

// TestDemo looks at `rackseed demo`: real packets, real installs, a page.
func TestDemo(t *testing.T) {
	needs(t)
	url := start(t, build(t), "demo", "--nodes", strconv.Itoa(machines), "--speed", "60", "--fault", "late-link", "--fault", "crash")
	tell(t, "install", url, strconv.Itoa(machines))
	t.Run("hostile", func(t *testing.T) { tell(t, "hostile", url) }) // alone: it compares before and after
	for _, story := range []string{"keyboard", "language", "axe", "sheet"} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			tell(t, story, url)
		})
	}
	t.Run("actions", func(t *testing.T) {
		t.Parallel()
		tell(t, "actions", url, fmt.Sprintf("node-%02d", machines))
	})
}

// TestFirstMinute begins with nothing but a daemon.
func TestFirstMinute(t *testing.T) {
	needs(t)
	iso := filepath.Join(t.TempDir(), "demo.iso")
	if err := sim.WriteMedium(iso); err != nil {
		t.Fatal(err)
	}
	url := start(t, build(t), "serve", "--state", filepath.Join(t.TempDir(), "state"), "--interface", "ask", "--operator", "127.0.0.1:0")
	tell(t, "first", url, iso)
}

// TestViewerThatSlept has many machines change while a laptop sleeps.
func TestViewerThatSlept(t *testing.T) {
	needs(t)
	s, err := rig.Open(t.Context(), 400)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{}
	server := httptest.NewUnstartedServer(l)
	l.next = s.Handler(server.Listener.Addr().String())
	server.Start()
	t.Cleanup(server.Close)
	control := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("change"))
		for ; n > 0; n -= 100 {
			if err := s.Change(r.Context(), 100); err != nil {
				t.Error(err)
			}
		}
		switch r.URL.Query().Get("line") {
		case "cut":
			l.cut.Store(true)
			server.CloseClientConnections()
		case "mended":
			l.cut.Store(false)
		}
	}))
	t.Cleanup(control.Close)
	tell(t, "away", server.URL+"/", control.URL)
}

// TestAdopt has a machine seen that nobody planned.
func TestAdopt(t *testing.T) {
	needs(t)
	s, err := rig.Open(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	mac := site.MAC{0x52, 0x54, 0, 0xbe, 0xef, 1}
	if err := s.Stranger(t.Context(), mac); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = s.Handler(server.Listener.Addr().String())
	server.Start()
	t.Cleanup(server.Close)
	tell(t, "adopt", server.URL+"/", mac.String())
}

// line is the wire to a server, which can be cut.
type line struct {
	next http.Handler
	cut  atomic.Bool
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.cut.Load() {
		panic(http.ErrAbortHandler) // closes the connection, silently
	}
	l.next.ServeHTTP(w, r)
}
