package image

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

// corked asks the kernel.
func corked(t *testing.T, c *net.TCPConn) bool {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on int
	var failed error
	if err := raw.Control(func(fd uintptr) { on, failed = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return on == 1
}

// TestLoneReaderIsCorkedUntilTheEnd has two readers that take their time: the
// first is alone when it begins. Once both have everything, no connection
// holds anything back.
func TestLoneReaderIsCorkedUntilTheEnd(t *testing.T) {
	l := openLibrary(t, t.TempDir())
	const size = 32 << 20
	img := mustAdd(t, l, makeISO(t, map[string][]byte{bigName: testBytes(size)}), AddOptions{})
	conns := make(chan *net.TCPConn, 2)
	srv := httptest.NewUnstartedServer(l.Handler())
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		conns <- c.(*net.TCPConn)
		return ConnContext(ctx, c)
	}
	srv.Start()
	defer srv.Close()
	var bodies []io.Reader
	var server []*net.TCPConn
	for range 2 {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", img.URLPath(bigName))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, res.Body)
		server = append(server, <-conns)
		// The body has begun, so sendfile is under way; most of it waits for us.
		if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if !corked(t, server[0]) || corked(t, server[1]) {
		t.Errorf("corked: the first %v, the second %v", corked(t, server[0]), corked(t, server[1]))
	}
	for i, b := range bodies {
		if n, err := io.Copy(io.Discard, b); err != nil || n != size-1<<20 {
			t.Fatalf("reader %d got %d bytes more, %v", i, n, err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); corked(t, server[0]); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the first connection is still corked")
		}
	}
}
