package tftp

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The clients that people have at hand fetch the same bytes that we serve.
func TestInterop(t *testing.T) {
	files := shelf{"boot/small": content(100), "boot/even": content(512 * 64), "boot/loader": content(1_000_003)}
	clients := []struct {
		name, program, apt string
		args               func(host, port, remote, local string) []string
	}{
		{"curl", "curl", "curl", func(host, port, remote, local string) []string {
			return []string{"-sS", "--max-time", "30", "-o", local, "tftp://" + host + ":" + port + "/" + remote}
		}},
		{"curl with large blocks", "curl", "curl", func(host, port, remote, local string) []string {
			return []string{"-sS", "--max-time", "30", "--tftp-blksize", "1468", "-o", local, "tftp://" + host + ":" + port + "/" + remote}
		}},
		{"curl without options", "curl", "curl", func(host, port, remote, local string) []string {
			return []string{"-sS", "--max-time", "30", "--tftp-no-options", "-o", local, "tftp://" + host + ":" + port + "/" + remote}
		}},
		{"tftp-hpa", "tftp", "tftp-hpa", func(host, port, remote, local string) []string {
			return []string{"-m", "binary", host, port, "-c", "get", remote, local}
		}},
		{"atftp", "atftp", "atftp", func(host, port, remote, local string) []string {
			return []string{"-g", "-r", remote, "-l", local, host, port}
		}},
		{"atftp with a window", "atftp", "atftp", func(host, port, remote, local string) []string {
			return []string{"--option", "blksize 1428", "--option", "windowsize 16", "--option", "tsize", "--option", "timeout 2",
				"-g", "-r", remote, "-l", local, host, port}
		}},
		{"busybox", "busybox", "busybox", func(host, port, remote, local string) []string {
			return []string{"tftp", "-b", "1468", "-g", "-r", remote, "-l", local, host, port}
		}},
	}
	server, reports := serve(t, &Server{Open: files.open})
	host, port := server.Addr().String(), fmt.Sprint(server.Port())
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skipf("needs %s: apt install %s", c.program, c.apt)
			}
			for remote, want := range files {
				local := filepath.Join(t.TempDir(), "got")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, c.program, c.args(host, port, remote, local)...)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
				}
				got, err := os.ReadFile(local)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes differ from %d", remote, len(got), len(want))
				}
				r := <-reports
				if r.Outcome != Done {
					t.Errorf("%s: %+v", remote, r)
				}
				t.Logf("%s: blksize %d, windowsize %d, %v", remote, r.Blksize, r.Windowsize, r.Took)
			}
		})
	}
}

// Names that curl sends as they are typed never leave the shelf.
func TestInteropTraversal(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl: apt install curl")
	}
	server, _ := serve(t, &Server{Open: func(_ context.Context, r Request) (File, error) {
		t.Errorf("%q reached Open", r.Name)
		return File{}, ErrNotFound
	}})
	for _, path := range []string{"/../../etc/passwd", "/boot/../../secret", "/%2e%2e/secret", `/..%5csecret`} {
		out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--path-as-is", "--max-time", "20",
			fmt.Sprintf("tftp://%s%s", server, path)).CombinedOutput()
		if err == nil {
			t.Errorf("%s: %q", path, out)
		}
	}
}
