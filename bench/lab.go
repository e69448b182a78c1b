package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	serverIP = "10.77.0.1"
	loadIP   = "10.77.0.2"
	prefix   = "/16"
	serverIf = "bench0"
	loadIf   = "bench1"
)

// lab is two network namespaces joined by a cable, and a folder for their files.
type lab struct {
	server, load string // namespaces
	dir          string
	self         string    // this program
	cpus         [2]string // of server and load
	used         int       // folders that were moved away
}

func newLab(ctx context.Context) (*lab, error) {
	pid := os.Getpid()
	l := &lab{server: fmt.Sprintf("rsbench-%d-server", pid), load: fmt.Sprintf("rsbench-%d-load", pid), cpus: [2]string{"0", "1"}}
	if runtime.NumCPU() < 2 {
		l.cpus[1] = "0"
	}
	var err error
	if l.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "rackseed-bench-")
	if err != nil {
		return nil, fmt.Errorf("making the bench folder: %w", err)
	}
	l.dir = dir
	// Servers that drop their privileges read their files here.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the bench folder: %w", err), l.close())
	}
	for _, args := range []string{
		"netns add " + l.server,
		"netns add " + l.load,
		"link add " + serverIf + " netns " + l.server + " type veth peer name " + loadIf + " netns " + l.load,
		"-n " + l.server + " addr add " + serverIP + prefix + " dev " + serverIf,
		"-n " + l.load + " addr add " + loadIP + prefix + " dev " + loadIf,
		"-n " + l.server + " link set lo up", "-n " + l.server + " link set " + serverIf + " up",
		// All reserved addresses are the load's own, so that each machine can
		// download from its own.
		"-n " + l.load + " link set lo up", "-n " + l.load + " link set " + loadIf + " up",
		"-n " + l.load + " route add local " + reservedNet + " dev lo",
	} {
		if err := command(ctx, "ip", strings.Fields(args)...); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

func (l *lab) close() error {
	var errs []error
	for _, ns := range []string{l.server, l.load} {
		if _, err := os.Stat("/run/netns/" + ns); err == nil {
			errs = append(errs, command(context.Background(), "ip", "netns", "del", ns))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(l.dir))...)
}

// command runs to its end; its error carries what it printed.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// inside prepares a command in a namespace on one processor.
func (l *lab) inside(ctx context.Context, ns, cpu, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns, l.self, firstArg, cpu, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// firstArg makes this program become another one that goes before all else that
// the machine does, so that it disturbs the ratios less.
const firstArg = "first"

// first becomes args[1:] on processor args[0]. It returns only on failure.
func first(args []string) error {
	runtime.LockOSThread() // the thread that calls exec hands its settings on
	cpu, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("choosing a processor: %w", err)
	}
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("moving to processor %d: %w", cpu, err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -20); err != nil {
		return fmt.Errorf("raising the priority: %w", err)
	}
	// With autogroups (sched(7)) nice counts only within a session, and the
	// session has a nice value of its own. Kernels without them lack the file.
	err = os.WriteFile("/proc/self/autogroup", []byte("-20"), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("raising the session's priority: %w", err)
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		return fmt.Errorf("starting %s: %w", args[1], err)
	}
	return fmt.Errorf("starting %s: %w", path, syscall.Exec(path, args[1:], os.Environ()))
}

// loss makes the server's side lose the given percentage of UDP, both ways, but
// no request for a file: no server can do anything about one, and the firmware
// asks again after three seconds, whichever server it is.
func (l *lab) loss(ctx context.Context, percent int) error {
	rules := fmt.Sprintf(`table inet bench {
	chain in { type filter hook input priority 0; udp dport != 69 numgen random mod 100 < %d drop; }
	chain out { type filter hook output priority 0; meta l4proto udp numgen random mod 100 < %d drop; }
}`, percent, percent)
	if percent == 0 {
		rules = "delete table inet bench"
	}
	return command(ctx, "ip", "netns", "exec", l.server, "nft", rules)
}

// file writes one of the lab's files and returns its path.
func (l *lab) file(name string, content []byte) (string, error) {
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("making a bench folder: %w", err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return "", fmt.Errorf("writing a bench file: %w", err)
	}
	return path, nil
}

// fresh gives an empty folder of the lab. What was there before is moved away
// and not removed: ext4 passes over each inode that was removed in the last five
// seconds when a file is made, and the next server would pay for it.
func (l *lab) fresh(name string) (string, error) {
	path := filepath.Join(l.dir, name)
	if _, err := os.Lstat(path); err == nil {
		l.used++
		if err := os.Rename(path, fmt.Sprintf("%s.used-%d", path, l.used)); err != nil {
			return "", fmt.Errorf("moving a bench folder away: %w", err)
		}
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", fmt.Errorf("making a bench folder: %w", err)
	}
	return path, nil
}

// process is a running server.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // valid then
	log  string
}

// start runs a server in the server's namespace until it is stopped.
func (l *lab) start(name string, env []string, path string, args ...string) (*process, error) {
	p := &process{name: name, done: make(chan struct{}), log: filepath.Join(l.dir, name+".log")}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.cmd = l.inside(context.Background(), l.server, l.cpus[0], path, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", name, err), out.Close())
	}
	go func() {
		defer close(p.done)
		p.err = errors.Join(p.cmd.Wait(), out.Close())
	}()
	return p, nil
}

// stop ends the server, by force if it takes long.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// family returns the process and its children: nginx has a master and workers.
func (p *process) family() []int {
	pid := p.cmd.Process.Pid
	pids := []int{pid}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return pids
	}
	for _, f := range strings.Fields(string(b)) {
		var child int
		if _, err := fmt.Sscan(f, &child); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// until asks every 20 ms whether the server is ready.
func (p *process) until(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(p.err, err), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.name, err, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tail is the end of what the server printed.
func (p *process) tail() string {
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.Seek(-2000, io.SeekEnd); err != nil {
		_, _ = f.Seek(0, io.SeekStart)
	}
	b, _ := io.ReadAll(f)
	return string(b)
}
