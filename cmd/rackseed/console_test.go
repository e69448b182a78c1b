package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/ipmisim"
	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/console"
)

func TestEscapes(t *testing.T) {
	for _, test := range []struct {
		name, typed, want string
		verdict           escapeVerdict
	}{
		{"at once", "~.", "", hangUp},
		{"after a line", "ls\r~.rm", "ls\r", hangUp},
		{"not in a line", "a~.b", "a~.b", keepOn},
		{"a tilde", "~~.", "~.", keepOn},
		{"a home", "~root\r", "~root\r", keepOn},
		{"help", "~?ls\r", "ls\r", helpAsked},
		{"a tilde and return", "~\r~.", "~\r", hangUp},
		{"interrupt", "\x03", "\x03", keepOn},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Terminals hand over one key or many at a time.
			for _, size := range []int{1, 100} {
				e := escapes{atStart: true}
				var got bytes.Buffer
				verdict := keepOn
				for rest := []byte(test.typed); len(rest) > 0 && verdict != hangUp; {
					n := min(size, len(rest))
					out, v := e.feed(rest[:n])
					got.Write(out)
					if v != keepOn {
						verdict = v
					}
					rest = rest[n:]
				}
				if got.String() != test.want || verdict != test.verdict {
					t.Errorf("%d at a time: got %q, verdict %d", size, &got, verdict)
				}
			}
		})
	}
}

// A machine that says who it is and echoes, behind a BMC that is not ours.
func TestConsoleCopiesAndRecords(t *testing.T) {
	ipmisim.Need(t, "ipmi_sim")
	bmc := ipmisim.Start(t, ipmisim.Config{SOL: echoingMachine(t)})
	dir := t.TempDir()
	password, record := filepath.Join(dir, "pass"), filepath.Join(dir, "console.log")
	if err := os.WriteFile(password, []byte(ipmisim.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in, keyboard := io.Pipe()
	var out, errOut lockedText
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"console", "--bmc", bmc.Address, "--user", ipmisim.User, "--password-file", password, "--record", record}, in, &out, &errOut)
	}()
	for _, line := range []string{"\r", "root\r"} {
		if _, err := io.WriteString(keyboard, line); err != nil {
			t.Fatal(err)
		}
		waitText(t, &out, line+"login: ", &errOut)
	}
	_ = keyboard.Close()
	cancel()
	if status := <-done; status != exitDone {
		t.Errorf("exit status %d: %s", status, &errOut)
	}
	recorded, err := os.ReadFile(record)
	if err != nil || string(recorded) != "\rlogin: root\rlogin: " {
		t.Errorf("recorded %q, %v", recorded, err)
	}
}

// In a terminal the keys go to the machine as they are, ~. ends it and the
// window is as before.
func TestConsoleInATerminal(t *testing.T) {
	ipmisim.Need(t, "ipmi_sim")
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("needs script: apt install bsdutils")
	}
	bmc := ipmisim.Start(t, ipmisim.Config{SOL: echoingMachine(t)})
	password := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(password, []byte(ipmisim.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := rackseedProgram(t)
	command := "stty -a | grep -o -e '-*echo ' -e '-*icanon'; " + program + " console --bmc " + bmc.Address + " --user " + ipmisim.User + " --password-file " + password +
		"; echo status $?; stty -a | grep -o -e '-*echo ' -e '-*icanon'"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "script", "-qec", command, "/dev/null")
	c.Env = append(os.Environ(), "SHELL=/bin/sh")
	keyboard, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out lockedText
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	waitText(t, &out, "Console of", &out)
	if _, err := io.WriteString(keyboard, "\x03root\r"); err != nil {
		t.Fatal(err)
	}
	waitText(t, &out, "\x03root\rlogin: ", &out)
	if _, err := io.WriteString(keyboard, "~."); err != nil {
		t.Fatal(err)
	}
	waitText(t, &out, "status 0", &out)
	_ = keyboard.Close()
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	before, after, _ := strings.Cut(out.String(), "Console of")
	_, after, _ = strings.Cut(after, "status 0")
	if strings.TrimSpace(before) != strings.TrimSpace(after) || !strings.Contains(before, "icanon") {
		t.Errorf("the terminal was %q and is %q", before, after)
	}
}

func TestConsoleUsage(t *testing.T) {
	for _, args := range [][]string{{"console"}, {"console", "a", "b"}, {"console", "--bmc", "127.0.0.1", "node"},
		{"console", "--bmc", "127.0.0.[1-2]", "--user", "a", "--password-file", "/dev/null"}} {
		var out, errOut lockedText
		if status := run(t.Context(), args, strings.NewReader(""), &out, &errOut); status != exitUsage {
			t.Errorf("%q: status %d: %s", args, status, &errOut)
		}
	}
}

// echoingMachine is a serial port that echoes, and asks for a name at the end
// of every line.
func echoingMachine(t *testing.T) string {
	t.Helper()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wait.Go(func() {
		for {
			conn, err := port.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wait.Go(func() {
				for r := bufio.NewReader(conn); ; {
					b, err := r.ReadByte()
					if err != nil {
						return
					}
					_, _ = conn.Write([]byte{b})
					if b == '\r' {
						_, _ = io.WriteString(conn, "login: ")
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = port.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
	return port.Addr().String()
}

// lockedText is a buffer that a test reads while a command writes.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func waitText(t *testing.T, out *lockedText, want string, errOut *lockedText) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), want); {
		if time.Now().After(end) {
			t.Fatalf("no %q in %q: %s", want, out, errOut)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// rackseedProgram is this test as the program, by testscript's way.
func rackseedProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "rackseed")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(errors.Join(err))
	}
	return program
}

// TestRecordedDuringAnInstall: what a job had recorded ends with it, and what
// somebody asked for before or meanwhile does not.
func TestRecordedDuringAnInstall(t *testing.T) {
	recorder := console.New(console.Config{
		Dial: func(ctx context.Context, _ string) (bmc.Driver, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		Tell: func(string, string) {}, Say: func(string, string) {},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- recorder.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	c := consoles{recorder}
	nodes := func() (list []string) {
		for _, r := range c.Recordings() {
			list = append(list, r.Node)
		}
		return list
	}
	var stops []func()
	if err := c.Start("asked-before", time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"asked-before", "asked-meanwhile", "plain"} {
		stop, err := c.during(node)
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, stop)
	}
	if err := c.Start("asked-meanwhile", 20*time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := nodes(); len(got) != 3 {
		t.Errorf("recorded are %v", got)
	}
	for _, stop := range stops {
		stop()
	}
	if got := nodes(); !slices.Equal(got, []string{"asked-before", "asked-meanwhile"}) {
		t.Errorf("afterwards recorded are %v", got)
	}
}
