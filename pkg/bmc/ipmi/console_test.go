package ipmi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/hal/mock"

	"github.com/rackseed/rackseed/internal/ipmisim"
	"github.com/rackseed/rackseed/pkg/bmc"
)

// screen collects what a console says.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	err  error
	done chan struct{}
}

func watch(r io.Reader) *screen {
	s := &screen{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, err := io.Copy(s, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
	}()
	return s
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *screen) shows(t *testing.T, text string) {
	t.Helper()
	if !eventually(t, func() bool { return strings.Contains(s.String(), text) }) {
		shown := s.String()
		t.Fatalf("the console does not show %q but, at the end of %d bytes, %q", text, len(shown), shown[max(0, len(shown)-100):])
	}
}

func TestConsole(t *testing.T) {
	port := &mock.FakeConsoleConn{}
	p := startConsolePeer(t, port, 17)
	d := dial(t, p.target(), quick())
	c, err := d.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := watch(c)
	port.FeedRX([]byte("login: "))
	s.shows(t, "login: ")
	if _, err := io.WriteString(c, "root\r"); err != nil {
		t.Fatal(err)
	}
	if !eventually(t, func() bool { return port.TXString() == "root\r" }) {
		t.Fatalf("the machine got %q", port.TXString())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	<-s.done
	if p.SOL.ActiveSessionID(1) != 0 {
		t.Error("serial over LAN is still active")
	}
	if _, err := d.Power(t.Context()); err != nil {
		t.Errorf("after the console: %v", err)
	}
}

// A console whose user is gone does not lock out the next one.
func TestConsoleIsTakenOver(t *testing.T) {
	p := startConsolePeer(t, &mock.FakeConsoleConn{}, 17)
	first := dial(t, p.target(), quick())
	stale, err := first.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	owner := p.SOL.ActiveSessionID(1)
	lost := watch(stale)
	second := dial(t, p.target(), quick())
	c, err := second.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := watch(c)
	if now := p.SOL.ActiveSessionID(1); now == owner || now == 0 {
		t.Errorf("the console is session %x's, was %x's", now, owner)
	}
	<-lost.done
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	<-s.done
}

// A recorder does not take the console from a person, and a person takes it
// from a recorder.
func TestShyConsole(t *testing.T) {
	p := startConsolePeer(t, &mock.FakeConsoleConn{}, 17)
	person := dial(t, p.target(), quick())
	c, err := person.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := watch(c)
	o := quick()
	o.Shy = true
	recorder := dial(t, p.target(), o)
	if _, err := recorder.Console(t.Context()); !errors.Is(err, bmc.ErrBusy) {
		t.Errorf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	<-s.done
	port, err := recorder.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost := watch(port)
	again, err := person.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	<-lost.done
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConsoleEndsWithTheDriver(t *testing.T) {
	p := startConsolePeer(t, &mock.FakeConsoleConn{}, 17)
	d := dial(t, p.target(), quick())
	c, err := d.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := watch(c)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.Power(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the console has the session: %v", err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-s.done
	if n := p.Sessions.Count(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestNoConsole(t *testing.T) {
	p := startPeer(t, 17)
	d := dial(t, p.target(), quick())
	if _, err := d.Console(t.Context()); err == nil {
		t.Fatal("a machine without a console has one")
	}
	if _, err := d.Power(t.Context()); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// The machine behind ipmi_sim says a boot log of 10 kB, then echoes.
func TestSimConsole(t *testing.T) {
	ipmisim.Need(t, "ipmi_sim")
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var boot strings.Builder
	for i := range 200 {
		boot.WriteString("[    0." + strings.Repeat(string(rune('0'+i%10)), 40) + "]\r\n")
	}
	boot.WriteString("ready\r\n")
	said := make(chan struct{})
	var machine sync.WaitGroup
	machine.Go(func() {
		for {
			conn, err := port.Accept()
			if err != nil {
				return
			}
			machine.Go(func() {
				defer func() { _ = conn.Close() }()
				<-said
				_, _ = io.WriteString(conn, boot.String())
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = port.Close()
		machine.Wait()
	})
	b := ipmisim.Start(t, ipmisim.Config{SOL: port.Addr().String()})
	t.Cleanup(func() { b.Stop() })
	d := dial(t, simTarget(b), Options{})
	c, err := d.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := watch(c)
	close(said)
	s.shows(t, "ready\r\n")
	typed := strings.Repeat("the quick brown fox ", 20) + "\r"
	if _, err := io.WriteString(c, typed); err != nil {
		t.Fatal(err)
	}
	s.shows(t, typed)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	<-s.done
	if got := s.String(); got != boot.String()+typed {
		t.Errorf("got %d bytes of %d", len(got), len(boot.String())+len(typed))
	}
	again, err := d.Console(t.Context())
	if err != nil {
		t.Fatalf("the second console: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if state, err := d.Power(t.Context()); err != nil || state != bmc.PowerOff {
		t.Errorf("after the console: %s, %v", state, err)
	}
}
