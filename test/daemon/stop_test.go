package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestStopsAtOnce: a signal ends the daemon well although a machine reads
// slowly, a script follows the log and a page is open.
func TestStopsAtOnce(t *testing.T) {
	p := armed(t)
	d := p.serve()
	images, err := p.client().Images(t.Context())
	if err != nil || len(images) != 1 {
		t.Fatal(images, err)
	}
	slow := p.slowReader(t, "/images/"+images[0].Digest+"/"+images[0].Initrd)
	defer slow.Close()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	followed := make(chan error, 1)
	first := make(chan struct{})
	go func() {
		seen := false
		for _, err := range p.client().Follow(ctx, 0) {
			if err != nil {
				followed <- err
				return
			}
			if !seen {
				seen = true
				close(first)
			}
		}
		followed <- nil
	}()
	<-first
	began := time.Now()
	d.stop()
	t.Logf("it ended %s after SIGTERM", time.Since(began).Round(time.Millisecond))
	if err := <-followed; err == nil || !strings.Contains(err.Error(), "went away") {
		t.Errorf("the follower was told %v", err)
	}
	// What was recorded is there, and the next daemon starts on it.
	p.serve()
	if n := p.node("n1"); n.State != site.PhaseArmed {
		t.Errorf("n1 is %s", n.State)
	}
}

// slowReader asks for more than the sockets between it and the daemon hold,
// and reads the head of the first answer only.
func (p *place) slowReader(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.server(httpPort))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	if _, err := io.WriteString(conn, strings.Repeat(request, 400)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, len("HTTP/1.1 200 OK"))
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200 OK" {
		t.Fatalf("it answers %q, %v", head, err)
	}
	return conn
}
