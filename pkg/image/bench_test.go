package image

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// BenchmarkHTTP serves 100 MB out of an ISO beside net/http's FileServer with the same bytes in a
// plain file.
func BenchmarkHTTP(b *testing.B) {
	const size = 100 << 20
	data := testBytes(size)
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big.img"), data, 0o644); err != nil {
		b.Fatal(err)
	}
	l := openLibrary(b, b.TempDir())
	img := mustAdd(b, l, makeISO(b, map[string][]byte{bigName: data}), AddOptions{})
	for _, server := range []struct {
		name, path string
		handler    http.Handler
	}{
		{"iso", img.URLPath(bigName), l.Handler()},
		{"fileserver", "/big.img", http.FileServer(http.Dir(dir))},
	} {
		for _, clients := range []int{1, 50, 200} {
			b.Run(fmt.Sprintf("%s/clients=%d", server.name, clients), func(b *testing.B) {
				srv := httptest.NewServer(server.handler)
				defer srv.Close()
				b.SetBytes(size)
				work := make(chan struct{}, b.N)
				for range b.N {
					work <- struct{}{}
				}
				close(work)
				b.ResetTimer()
				var wg sync.WaitGroup
				for range clients {
					wg.Go(func() {
						for range work {
							if err := download(srv.Listener.Addr().String(), server.path, size); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// download reads in large pieces so that the client costs little beside the server.
func download(addr, path string, size int64) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 1<<20))
	if err == nil && n < size {
		err = fmt.Errorf("%d bytes of %d", n, size)
	}
	return err
}
