package image

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/image/iso"
)

const (
	oddName = "Packages/g/gcc-c++ 11~rc1 50%.rpm"
	bigName = "images/big.img"
)

func testBytes(n int) []byte {
	data := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(data)
	return data
}

// serveImage serves a Rocky medium with some more files in it.
func serveImage(t testing.TB, big int) (*httptest.Server, *Library, Image) {
	t.Helper()
	l := openLibrary(t, t.TempDir())
	img := mustAdd(t, l, makeISO(t, map[string][]byte{
		oddName: []byte("odd"), bigName: testBytes(big), "empty": nil, "EFI/BOOT/BOOTX64.EFI": []byte("MZ"),
	}), AddOptions{})
	srv := httptest.NewUnstartedServer(l.Handler())
	srv.Config.ConnContext = ConnContext
	srv.Start()
	t.Cleanup(srv.Close)
	return srv, l, img
}

// get sends the path as it is, without cleaning or following anything.
func get(t testing.TB, srv *httptest.Server, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path, strings.Join(append(headers, ""), "\r\n"))
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestPaths(t *testing.T) {
	srv, _, img := serveImage(t, 100_000)
	root := URLPrefix + img.Hex()
	tests := []struct {
		path   string
		status int
		kind   string
		body   string // where it is short
	}{
		{root + "/base/repodata/repomd.xml", 200, "application/xml", strings.TrimPrefix(index, "repodata/repomd.xml=")},
		{root + "/.treeinfo", 200, "text/plain; charset=utf-8", ""},
		{img.URLPath(oddName), 200, "application/x-rpm", "odd"},
		{root + "/Packages/g/gcc-c%2B%2B%2011%7Erc1%2050%25.rpm", 200, "application/x-rpm", "odd"},
		{root + "/EFI/BOOT/BOOTX64.EFI", 200, "application/efi", "MZ"},
		{root + "/empty", 200, "application/octet-stream", ""},
		{root + "//BaseOS///repodata/./repomd.xml", 200, "application/xml", strings.TrimPrefix(index, "repodata/repomd.xml=")},
		{img.ISOPath(), 200, "application/vnd.efi-iso", ""},
		{root, 200, "text/html; charset=utf-8", ""},
		{root + "/", 200, "text/html; charset=utf-8", ""},
		{root + "/BaseOS", 200, "text/html; charset=utf-8", ""},
		{root + "/BaseOS/", 200, "text/html; charset=utf-8", ""},
		{root + "/images/updates.img", 404, "", ""},
		{root + "/images/product.img", 404, "", ""},
		{root + "/.treeinfo/", 404, "", ""},
		{root + "/baseos/repodata/repomd.xml", 404, "", ""},
		{root + "/BaseOS/index.html", 404, "", ""},
		{URLPrefix + "rocky9/.treeinfo", 404, "", ""},
		{URLPrefix + strings.Repeat("0", 64) + "/.treeinfo", 404, "", ""},
		{root + ".iso/", 404, "", ""},
		{root + ".json", 404, "", ""},
		{root + "/../" + img.Hex() + ".json", 400, "", ""},
		{root + "/../../../../etc/passwd", 400, "", ""},
		{root + "/..%2f..%2f..%2fetc%2fpasswd", 400, "", ""},
		{root + "/%2e%2e/%2e%2e/etc/passwd", 400, "", ""},
		{root + "/BaseOS/../.treeinfo", 400, "", ""},
		{root + "/..%5c..%5cetc", 404, "", ""},
		{root + "/%252e%252e/etc/passwd", 404, "", ""},
		{root + "//etc/passwd", 404, "", ""},
		{root + "/.treeinfo%00.xml", 400, "", ""},
		{root + "/" + strings.Repeat("a/", 2500), 400, "", ""},
		{URLPrefix, 400, "", ""},
		{"/", 400, "", ""},
	}
	for _, tt := range tests {
		for _, method := range []string{"GET", "HEAD"} {
			res, body := get(t, srv, method, tt.path)
			if res.StatusCode != tt.status {
				t.Errorf("%s %.120s: %d, want %d", method, tt.path, res.StatusCode, tt.status)
				continue
			}
			if tt.status != 200 {
				continue
			}
			if got := res.Header.Get("Content-Type"); got != tt.kind {
				t.Errorf("%s %s: type %q, want %q", method, tt.path, got, tt.kind)
			}
			if method == "GET" && res.ContentLength != int64(len(body)) {
				t.Errorf("GET %s: Content-Length %d, body %d", tt.path, res.ContentLength, len(body))
			}
			if method == "GET" && tt.body != "" && body != tt.body {
				t.Errorf("GET %s: %q, want %q", tt.path, body, tt.body)
			}
			if method == "HEAD" && res.Header.Get("Content-Length") == "" {
				t.Errorf("HEAD %s: no Content-Length", tt.path)
			}
		}
	}
	res, _ := get(t, srv, "POST", root+"/.treeinfo")
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
}

func TestIndexPageLinksWork(t *testing.T) {
	srv, _, img := serveImage(t, 1)
	_, page := get(t, srv, "GET", URLPrefix+img.Hex()+"/Packages/g")
	found := regexp.MustCompile(`href="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no link in %s", page)
	}
	if res, body := get(t, srv, "GET", strings.ReplaceAll(found[1], "&#43;", "+")); body != "odd" {
		t.Errorf("%s: %d %q", found[1], res.StatusCode, body)
	}
}

func TestRanges(t *testing.T) {
	const size = 3<<20 + 17
	srv, _, img := serveImage(t, size)
	data, path := testBytes(size), img.URLPath(bigName)
	res, _ := get(t, srv, "HEAD", path)
	tag := res.Header.Get("ETag")
	if !regexp.MustCompile(`^"[0-9a-f]{32}"$`).MatchString(tag) || res.Header.Get("Accept-Ranges") != "bytes" || res.ContentLength != size {
		t.Errorf("HEAD: %v", res.Header)
	}
	if other, _ := get(t, srv, "HEAD", img.URLPath(".treeinfo")); other.Header.Get("ETag") == tag {
		t.Error("two files have one ETag")
	}
	tests := []struct {
		name    string
		headers []string
		status  int
		body    []byte
		span    string
	}{
		{"all", nil, 200, data, ""},
		{"first", []string{"Range: bytes=0-0"}, 206, data[:1], "bytes 0-0/3145745"},
		{"across chunks", []string{"Range: bytes=1000000-2500000"}, 206, data[1000000:2500001], "bytes 1000000-2500000/3145745"},
		{"from", []string{"Range: bytes=2097152-"}, 206, data[2097152:], "bytes 2097152-3145744/3145745"},
		{"last", []string{"Range: bytes=-100"}, 206, data[size-100:], "bytes 3145645-3145744/3145745"},
		{"to beyond the end", []string{"Range: bytes=3145740-9999999"}, 206, data[3145740:], "bytes 3145740-3145744/3145745"},
		{"beyond the end", []string{"Range: bytes=3145745-"}, 416, nil, "bytes */3145745"},
		{"nonsense", []string{"Range: bytes=5-2"}, 416, nil, ""},
		{"same file", []string{"Range: bytes=5-9", "If-Range: " + tag}, 206, data[5:10], "bytes 5-9/3145745"},
		{"other file", []string{"Range: bytes=5-9", `If-Range: "other"`}, 200, data, ""},
		{"weak", []string{"Range: bytes=5-9", "If-Range: W/" + tag}, 200, data, ""},
		{"by date", []string{"Range: bytes=5-9", "If-Range: Sun, 01 Mar 2026 12:00:00 GMT"}, 200, data, ""},
		{"not modified", []string{"If-None-Match: " + tag}, 304, []byte{}, ""},
		{"other version wanted", []string{`If-Match: "other"`}, 412, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := get(t, srv, "GET", path, tt.headers...)
			if res.StatusCode != tt.status || tt.span != "" && res.Header.Get("Content-Range") != tt.span {
				t.Fatalf("%d, Content-Range %q; want %d, %q", res.StatusCode, res.Header.Get("Content-Range"), tt.status, tt.span)
			}
			if tt.body != nil && body != string(tt.body) {
				t.Errorf("body of %d bytes differs from the wanted %d", len(body), len(tt.body))
			}
			if res.StatusCode < 300 && res.ContentLength != int64(len(body)) {
				t.Errorf("Content-Length %d, body %d", res.ContentLength, len(body))
			}
		})
	}
	t.Run("several", func(t *testing.T) {
		res, body := get(t, srv, "GET", path, "Range: bytes=0-99,1000000-1199999,-5")
		_, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
		if err != nil || res.StatusCode != http.StatusPartialContent || res.ContentLength != int64(len(body)) {
			t.Fatalf("%d, %v, %v", res.StatusCode, res.Header, err)
		}
		parts := multipart.NewReader(strings.NewReader(body), params["boundary"])
		for _, want := range [][]byte{data[:100], data[1000000:1200000], data[size-5:]} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(part); err != nil || !bytes.Equal(got, want) {
				t.Errorf("part of %d bytes differs, %v", len(want), err)
			}
		}
	})
}

// A file in several pieces, which xorriso only makes over 4 GiB, is laid out by hand.
func TestScatteredFileIsServedWhole(t *testing.T) {
	_, l, img := serveImage(t, 1<<20)
	pieces := []iso.Extent{{Offset: 40_000, Length: 100_000}, {Offset: 10, Length: 70_000}, {Offset: 200_000, Length: 33}}
	whole, err := content(l, img, "")
	if err != nil {
		t.Fatal(err)
	}
	var want string
	for _, p := range pieces {
		want += whole[p.Offset : p.Offset+p.Length]
	}
	scattered := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := l.Open(img.Hex(), "")
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		entry := iso.Entry{Size: int64(len(want)), Extents: pieces}
		f.SectionReader, f.extents = entry.Content(f.os), pieces
		l.serveFile(w, r, location{img.Hex(), "x", false}, f)
	}))
	defer scattered.Close()
	for _, r := range [][2]int{{0, len(want) - 1}, {99_000, 101_000}, {50_000, 170_010}, {100_000, 169_999}, {169_999, 170_032}} {
		_, body := get(t, scattered, "GET", "/", fmt.Sprintf("Range: bytes=%d-%d", r[0], r[1]))
		if body != want[r[0]:r[1]+1] {
			t.Errorf("bytes %d-%d differ", r[0], r[1])
		}
	}
}

func TestManyReadersOfOneFile(t *testing.T) {
	const size = 1 << 20
	srv, l, img := serveImage(t, size)
	want := testBytes(size)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			from := i * 10_001
			res, body := get(t, srv, "GET", img.URLPath(bigName), fmt.Sprintf("Range: bytes=%d-", from))
			if res.StatusCode != http.StatusPartialContent || body != string(want[from:]) {
				t.Errorf("reader %d: %d, %d bytes differ", i, res.StatusCode, len(body))
			}
		})
	}
	wg.Wait()
	srv.Close()
	if idle := len(l.images[img.Hex()].idle); idle == 0 || idle > maxIdle {
		t.Errorf("%d idle descriptors, want 1 to %d", idle, maxIdle)
	}
}

func TestSlowReaderIsCutOffAndSteadyOneIsNot(t *testing.T) {
	const size = 64 << 20 // more than the kernel buffers
	l, err := Open(Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Stall: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	img := mustAdd(t, l, makeISO(t, map[string][]byte{bigName: make([]byte, size)}), AddOptions{})
	ended := make(chan struct{}, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.Handler().ServeHTTP(w, r)
		ended <- struct{}{}
	}))
	defer srv.Close()

	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", img.URLPath(bigName))
	<-ended // without a byte being read
	n, err := io.Copy(io.Discard, conn)
	if n >= size {
		t.Errorf("a stalled reader got all %d bytes, %v", n, err)
	}

	// Longer than Stall in all, but steady. The second request shows that no deadline was left behind.
	res, err := http.Get(srv.URL + img.URLPath(bigName))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var got int64
	for {
		<-tick.C
		n, err := io.CopyN(io.Discard, res.Body, 1<<20)
		got += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got != size {
		t.Errorf("a steady reader got %d of %d bytes", got, size)
	}
	<-ended
}

func TestCurlResumes(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("needs curl: apt install curl")
	}
	const size = 2 << 20
	srv, _, img := serveImage(t, size)
	out := filepath.Join(t.TempDir(), "big.img")
	if err := os.WriteFile(out, testBytes(size)[:777_777], 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(curl, "-sS", "--fail", "-C", "-", "-o", out, srv.URL+img.URLPath(bigName))
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("curl: %v\n%s", err, msg)
	}
	got, err := os.ReadFile(out)
	if err != nil || !bytes.Equal(got, testBytes(size)) {
		t.Errorf("resumed file of %d bytes differs, %v", len(got), err)
	}
}

func TestUnservableImages(t *testing.T) {
	srv, l, img := serveImage(t, 1)
	path := img.URLPath(".treeinfo")
	stored := filepath.Join(l.dir, img.Hex()+".iso")
	if err := os.Chtimes(stored, time.Time{}, added); err != nil {
		t.Fatal(err)
	}
	if res, _ := get(t, srv, "GET", path); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("unverified: %d, %v", res.StatusCode, res.Header)
	}
	l.running.Wait()
	if res, _ := get(t, srv, "GET", path); res.StatusCode != http.StatusOK {
		t.Errorf("verified: %d", res.StatusCode)
	}
	flip(t, stored, 40_000)
	if err := l.Verify(context.Background(), img.Name, nil); !errors.Is(err, ErrFault) {
		t.Fatal(err)
	}
	if res, _ := get(t, srv, "GET", path); res.StatusCode != http.StatusInternalServerError {
		t.Errorf("damaged: %d", res.StatusCode)
	}
}

const serveEnv = "IMAGE_TEST_SERVE"

// serveForStrace is the server that TestSendfile traces. It ends with its standard input.
func serveForStrace() {
	l, err := Open(Config{Dir: os.Getenv(serveEnv)})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	srv := httptest.NewServer(l.Handler())
	fmt.Println(srv.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	srv.Close()
	l.Close()
}

func TestSendfile(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: apt install strace")
	}
	const size = 8 << 20
	l := openLibrary(t, t.TempDir())
	img := mustAdd(t, l, makeISO(t, map[string][]byte{bigName: testBytes(size)}), AddOptions{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-qq", "-e", "trace=sendfile", "-o", trace, os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+l.dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stdin.Close()
		_ = cmd.Wait()
		t.Skip("needs strace that may trace here: ptrace is not allowed")
	}
	var bodies [][]byte
	for _, span := range []string{"", "bytes=1000000-5000000"} {
		req, err := http.NewRequest(http.MethodGet, strings.TrimSpace(url)+img.URLPath(bigName), nil)
		if err != nil {
			t.Fatal(err)
		}
		if span != "" {
			req.Header.Set("Range", span)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	http.DefaultClient.CloseIdleConnections()
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bodies[0], testBytes(size)) {
		t.Error("the file differs")
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var sent int
	for _, call := range regexp.MustCompile(`sendfile.* = (\d+)\n`).FindAllStringSubmatch(string(data), -1) {
		n, _ := strconv.Atoi(call[1])
		sent += n
	}
	total := len(bodies[0]) + len(bodies[1])
	if copied := total - sent; copied > 8<<10 {
		t.Errorf("%d of %d bytes went by sendfile", sent, total)
	}
}

func FuzzPath(f *testing.F) {
	hex := strings.Repeat("a", 64)
	for _, p := range []string{"/images/" + hex + "/x", "/images/" + hex + ".iso", "//", "/images/../x", "/images/" + hex + "/a//./b/"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		at, ok := parsePath(p)
		if !ok {
			return
		}
		for elem := range strings.SplitSeq(at.digest+"/"+at.name, "/") {
			if elem == ".." || elem == "." || strings.Contains(elem, "\x00") {
				t.Errorf("%q holds %q", p, elem)
			}
		}
	})
}
