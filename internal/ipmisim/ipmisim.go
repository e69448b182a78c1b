// Package ipmisim runs OpenIPMI's ipmi_sim, a BMC that is not ours, on
// loopback for a test.
package ipmisim

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The account that every BMC has. The password has the 16 bytes that IPMI 1.5
// allows.
const (
	User     = "admin"
	Password = "Sesame-16-bytes!"
)

// Config is what a BMC may have beyond the usual.
type Config struct {
	// Chassis is the program that ipmi_sim calls with the node's name, get or
	// set, and parameters. Empty means one that keeps them in files.
	Chassis string
	// Commands are more lines for the emulator: FRU data, sensors.
	Commands string
	// SOL is where the machine's serial port listens, as HOST:PORT.
	SOL string
}

// BMC is a running ipmi_sim.
type BMC struct {
	Address string // HOST:PORT of its LAN interface
	Dir     string

	console string
	stop    func()
	stopped sync.Once
}

// Stop ends it before the test does.
func (b *BMC) Stop() { b.stopped.Do(b.stop) }

// program keeps the chassis in one file per parameter.
const program = `#!/bin/sh
dir=${0%/*}/chassis
shift
operation=$1
shift
case $operation in
get)
	for p; do
		value=0
		[ "$p" = boot ] && value=none
		[ -e "$dir/$p" ] && read -r value <"$dir/$p"
		echo "$p:$value"
	done
	;;
set)
	while [ $# -gt 1 ]; do
		echo "$2" >"$dir/$1"
		echo "$1 $2" >>"$dir/log"
		shift 2
	done
	;;
esac
`

// Need skips the test by name if a program is missing.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	packages := map[string]string{"ipmi_sim": "openipmi", "ipmitool": "ipmitool", "ipmipower": "freeipmi-tools", "ipmi-chassis": "freeipmi-tools"}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s: apt install %s", p, packages[p])
		}
	}
}

// Start runs a BMC until the test ends.
func Start(t testing.TB, c Config) *BMC {
	t.Helper()
	b := &BMC{Dir: t.TempDir(), Address: freeUDP(t), console: freeTCP(t)}
	b.run(t, b.prepare(t, c))
	return b
}

// Prepare lays out a BMC at an address that this process need not have, and
// gives the arguments with which the caller starts ipmi_sim there. Its console
// is at the TCP port of the same number.
func Prepare(t testing.TB, address string, c Config) (args []string) {
	t.Helper()
	b := &BMC{Dir: t.TempDir(), Address: address, console: address}
	return b.prepare(t, c)
}

func (b *BMC) prepare(t testing.TB, c Config) (args []string) {
	t.Helper()
	Need(t, "ipmi_sim")
	if c.Chassis == "" {
		c.Chassis = filepath.Join(b.Dir, "program")
		write(t, c.Chassis, 0o755, program)
	}
	for _, d := range []string{"chassis", "state"} {
		if err := os.Mkdir(filepath.Join(b.Dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(b.Dir, "lan.conf"), 0o600, b.config(c))
	write(t, filepath.Join(b.Dir, "emu"), 0o600, `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`+c.Commands+"\n")
	return []string{"-n", "-c", filepath.Join(b.Dir, "lan.conf"), "-f", filepath.Join(b.Dir, "emu"), "-s", filepath.Join(b.Dir, "state")}
}

func (b *BMC) config(c Config) string {
	host, port, _ := net.SplitHostPort(b.Address)
	consoleHost, consolePort, _ := net.SplitHostPort(b.console)
	text := fmt.Sprintf(`name "node"
set_working_mc 0x20
startlan 1
  addr %s %s
  priv_limit admin
  allowed_auths_admin none md2 md5 straight
  guid 0102030405060708090a0b0c0d0e0f10
endlan
chassis_control "%s node"
console %s %s
user 1 true "" "test" user 10 none md2 md5 straight
user 2 true "%s" "%s" admin 10 none md2 md5 straight
`, host, port, c.Chassis, consoleHost, consolePort, User, Password)
	if c.SOL != "" {
		text += fmt.Sprintf("sol \"tcp:%s\" 115200 history=8000\n", c.SOL)
	}
	return text
}

// run starts the program and waits until it answers.
func (b *BMC) run(t testing.TB, args []string) {
	t.Helper()
	log, err := os.Create(filepath.Join(b.Dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(t.Context(), "ipmi_sim", args...)
	cmd.Dir = b.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting ipmi_sim: %v", err)
	}
	b.stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(b.Stop)
	if err := b.wait(t.Context()); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("ipmi_sim does not listen: %v\n%s", err, said)
	}
}

// wait returns when the LAN interface answers a presence ping (ASF 2.0 section
// 3.2.4.2).
func (b *BMC) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := ping(ctx, b.Address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ping(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte{6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0}); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 64))
	return err
}

// Chassis is what the chassis program was last told of a parameter, such as
// power or boot.
func (b *BMC) Chassis(t testing.TB, parameter string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Dir, "chassis", parameter))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// Messages are the requests and answers that ipmi_sim prints.
type Messages struct {
	conn net.Conn
	mu   sync.Mutex
	text strings.Builder
	done chan struct{}
}

// Listen has ipmi_sim print every request, decoded.
func (b *BMC) Listen(t testing.TB) *Messages {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.console)
	if err != nil {
		t.Fatal(err)
	}
	m := &Messages{conn: conn, done: make(chan struct{})}
	if _, err := io.WriteString(conn, "debug msg\n"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	// It echoes the command and prompts once it is carried out.
	if _, err := readUntil(reader, "debug msg\n\r> "); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.done)
		for {
			line, err := reader.ReadString('\n')
			m.mu.Lock()
			m.text.WriteString(line)
			m.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-m.done
	})
	return m
}

func readUntil(r *bufio.Reader, end string) (string, error) {
	var text strings.Builder
	for !strings.HasSuffix(text.String(), end) {
		c, err := r.ReadByte()
		if err != nil {
			return text.String(), err
		}
		text.WriteByte(c)
	}
	return text.String(), nil
}

// String is all that was printed so far.
func (m *Messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

// Requests are the data bytes of all requests of a network function and
// command so far, as ipmi_sim decoded them.
func (m *Messages) Requests(netfn, command int) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	want := fmt.Sprintf("netfn=0x%x cmd=0x%x ", netfn, command)
	var requests []string
	lines := strings.Split(strings.ReplaceAll(m.text.String(), "\r", ""), "\n")
	for i := 0; i+3 < len(lines); i++ {
		if strings.HasPrefix(lines[i], "Receive message") && strings.Contains(lines[i+1], want) {
			requests = append(requests, strings.TrimSpace(lines[i+3]))
		}
	}
	return requests
}

func write(t testing.TB, path string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// freeUDP finds a port of the loopback network that this process has to
// itself, so that parallel runs do not meet.
func freeUDP(t testing.TB) string {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.LocalAddr().String()
}

func freeTCP(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func host() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.1", 64+pid>>8&0x3f, pid&0xff)
}
