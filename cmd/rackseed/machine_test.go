package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/view"
)

// canary is in every file outside of what the machine side may serve, and in
// a name that only a listing of the library would show.
const canary = "CANARY-OUTSIDE"

// TestNoWayOut sends raw request lines, as no client library would, at the
// real machine side over a real image library: nothing leads out of it.
func TestNoWayOut(t *testing.T) {
	base := t.TempDir()
	state := filepath.Join(base, "state")
	c, err := openCore(t.Context(), state, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, name := range []string{"secret", "state/secret", "state/images/secret", "state/images/" + canary, "state/evidence/n1.tar.gz"} {
		if err := os.WriteFile(filepath.Join(base, name), []byte(canary), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	medium := filepath.Join(base, "demo.iso")
	if err := sim.WriteMedium(medium); err != nil {
		t.Fatal(err)
	}
	var digest, kernel string
	if err := c.write(t.Context(), func(ctx context.Context) error {
		side := c.operatorSide(func() view.Serving { return view.Serving{} }, &explainer{server: ipxe.Server{}})
		i, err := client.Handler(side.Handler()).AddImage(ctx, view.ImageRequest{File: medium, Name: "debian13"}, func(_, _ int64) {})
		digest, kernel = i.Digest, i.Kernel
		return err
	}); err != nil {
		t.Fatal(err)
	}
	loader := func(name string) ([]byte, bool) { return []byte("loader"), name == "snponly.efi" }
	server := httptest.NewServer(c.machineSide(loader, install.RealTime, nil, nil).Handler())
	defer server.Close()
	addr := server.Listener.Addr().String()

	if code, body := raw(t, addr, "GET", "/images/"+digest+"/"+kernel); code != http.StatusOK || body == "" {
		t.Fatalf("the kernel itself: %d", code)
	}
	up := strings.Repeat("../", 12)
	for _, prefix := range []string{"/boot/", "/images/", "/images/" + digest + "/", "/images/" + digest[:8] + "/", "/answer/", "/answer/" + strings.Repeat("a", 64) + "/", "/"} {
		for _, tail := range []string{
			up + "secret", up + "etc/passwd", "../secret", "../../secret", "../key", "../../key", "..", ".", "", "/", "//",
			`..\..\secret`, "%2e%2e/secret", "%2e%2e%2fsecret", "..%2f..%2fsecret", "..%5c..%5csecret", "%252e%252e%252fsecret",
			"..;/secret", ".../secret", "....//secret", "%c0%ae%c0%ae/secret", "secret%00.efi", "snponly.efi%00", "/etc/passwd", "%2fetc%2fpasswd",
			"/" + filepath.Join(base, "secret"), "secret", "key", "rackseed.db", "demo.iso", digest + ".iso", "x/../../secret", kernel + "/../../../secret",
			kernel + "/..", "./" + kernel + "/.", strings.Repeat("a", 4096), strings.Repeat("a/", 2000), "\xff\xfe", "%ff",
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "PROPFIND"} {
				code, body := raw(t, addr, method, prefix+tail)
				if strings.Contains(body, canary) || strings.Contains(body, "root:x:") {
					t.Errorf("%s %q gives it away", method, prefix+tail)
				}
				if code >= 300 && code < 400 || code >= 500 {
					t.Errorf("%s %q answers %d", method, prefix+tail, code)
				}
			}
		}
	}
}

// raw sends one request line as it stands.
func raw(t *testing.T, addr, method, target string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, target, addr)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %q: %v", method, target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %q: %v", method, target, err)
	}
	return resp.StatusCode, string(body)
}

func TestEvidenceFolder(t *testing.T) {
	dir := t.TempDir()
	e, err := evidenceFolder(dir).Save(t.Context(), "n1", 2, strings.NewReader("0123456789"), 4)
	if err != nil || e.Size != 4 || e.Attempt != 2 || !strings.HasPrefix(e.File, "n1-attempt2-") {
		t.Fatalf("%+v, %v", e, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, e.File)); err != nil || string(data) != "0123" {
		t.Errorf("kept %q, %v", data, err)
	}
	// A cut upload leaves nothing.
	cut := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("connection reset")))
	if _, err := evidenceFolder(dir).Save(t.Context(), "n1", 2, cut, 100); err == nil {
		t.Error("a cut upload was kept")
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 1 {
		t.Errorf("the folder holds %v", files)
	}
}
