package daemon

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/site"
)

// inject makes the system calls of a running daemon fail, from now until
// release is called. strace counts calls for each thread, so a number in
// fault fails some call early on rather than a certain one.
func inject(t *testing.T, d *process, fault string) (release func()) {
	t.Helper()
	s := start(t, "strace", "-f", "-q", "-p", strconv.Itoa(d.cmd.Process.Pid), "-o", filepath.Join(t.TempDir(), "trace"),
		"-e", "trace=fdatasync,pwrite64", "-e", "inject="+fault, "-e", "signal=none")
	awaitTracer(t, d, s)
	return func() {
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-s.done
	}
}

// awaitTracer returns once every thread of the daemon is traced.
func awaitTracer(t *testing.T, d, tracer *process) {
	t.Helper()
	want := "TracerPid:\t" + strconv.Itoa(tracer.cmd.Process.Pid) + "\n"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		tasks, err := filepath.Glob("/proc/" + strconv.Itoa(d.cmd.Process.Pid) + "/task/*/status")
		if err != nil {
			t.Fatal(err)
		}
		traced := 0
		for _, task := range tasks {
			status, err := os.ReadFile(task)
			if err == nil && strings.Contains(string(status), want) {
				traced++
			}
		}
		if traced > 0 && traced == len(tasks) {
			return
		}
		select {
		case <-tracer.done:
			t.Fatalf("strace ended: %v\n%s", tracer.err, tracer)
		case <-ctx.Done():
			t.Fatal("strace does not trace the daemon")
		default:
		}
	}
}

// needStrace skips where nothing can be injected.
func needStrace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: strace attaches to the daemon")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("needs strace: apt install strace")
	}
}

// armed is a place where n1 is armed and its medium is there.
func armed(t *testing.T) *place {
	t.Helper()
	p := newPlace(t)
	p.must("plan", "apply", p.plan)
	p.medium()
	p.must("install", "n1", "--no-power", "--no-wait")
	return p
}

// storm has clients ask for leases, each once, and keeps what they were
// promised. It ends when all were answered or the daemon has gone.
func storm(t *testing.T, r *sim.Relay, d *process, first, clients int, promised *promises) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		select {
		case <-d.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			if addr, err := lease(ctx, r, macOf(first+i)); err == nil {
				promised.add(macOf(first+i), addr)
			}
		})
	}
	all.Wait()
}

// TestFailedSync: after one failed fsync the kernel has dropped what it was
// given, so nothing may be promised any more: the daemon says so and ends.
func TestFailedSync(t *testing.T) {
	needStrace(t)
	for _, fault := range []string{"fdatasync:error=EIO", "fdatasync:error=EIO:when=2", "fdatasync:error=EIO:when=3"} {
		t.Run(fault, func(t *testing.T) {
			p := armed(t)
			r := p.relay()
			var promised promises
			d := p.serve()
			storm(t, r, d, 0, 20, &promised)
			inject(t, d, fault)
			next := 100
			for d.running() {
				storm(t, r, d, next, 20, &promised)
				next += 20
			}
			if status := d.end(); status != 1 {
				t.Errorf("the exit status is %d", status)
			}
			said := d.String()
			for _, want := range []string{"rackseed.db", "input/output error"} {
				if !strings.Contains(said[strings.LastIndex(said, "rackseed:"):], want) {
					t.Errorf("its last words lack %q:\n%s", want, said)
				}
			}
			if promised.len() < 20 {
				t.Errorf("only %d leases were acknowledged", promised.len())
			}
			p.serve()
			promised.check(t, p)
			onlyN1(t, p)
		})
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// onlyN1 fails if any machine but the armed one can get an installer.
func onlyN1(t *testing.T, p *place) {
	t.Helper()
	for name, mac := range map[string]string{"n2": "52:54:00:00:00:01", "n3": "52:54:00:00:00:02"} {
		if n := p.node(name); n.State != site.PhasePlanned || n.Attempt != 0 {
			t.Errorf("%s is %s at attempt %d", name, n.State, n.Attempt)
		}
		if script := p.get(t, ".1.9", "/boot/node.ipxe?mac="+mac); strings.Contains(script, "kernel ") {
			t.Errorf("%s is not armed and is given:\n%s", name, script)
		}
	}
	if n := p.node("n1"); n.Attempt > 1 {
		t.Errorf("n1 was armed once and is at attempt %d", n.Attempt)
	}
}

// TestFullDisk: what needs no record goes on, nothing new is promised, and
// with room again everything is as before, without a restart.
func TestFullDisk(t *testing.T) {
	needStrace(t)
	p := armed(t)
	r := p.relay()
	var promised promises
	d := p.serve()
	storm(t, r, d, 0, 20, &promised)
	before := promised.len()

	release := inject(t, d, "pwrite64:error=ENOSPC")
	short, cancel := context.WithCancel(t.Context())
	refused := make(chan error, 1)
	go func() {
		_, err := lease(short, r, macOf(500))
		refused <- err
	}()
	d.wait("the disk is full: nothing new is promised until there is room")
	cancel()
	if err := <-refused; err == nil {
		t.Error("a lease was acknowledged that is not on the disk")
	}
	const ask = "/boot/node.ipxe?mac=52:54:00:00:00:00"
	if status, script := p.fetch(t, ".1.1", ask); status != http.StatusServiceUnavailable || strings.Contains(script, "kernel ") {
		t.Errorf("the armed node is answered %d:\n%s", status, script)
	}
	if script := p.get(t, ".1.2", "/boot/node.ipxe?mac=52:54:00:00:00:01"); !strings.Contains(script, "starts from its disk") {
		t.Errorf("a node that is not armed is told:\n%s", script)
	}
	if out, status := p.cli("install", "n2", "--no-power", "--no-wait"); status != 1 || !strings.Contains(out, "no space left") {
		t.Errorf("arming: status %d, %s", status, out)
	}
	if n := p.node("n1"); n.State != site.PhaseArmed {
		t.Errorf("n1 is %s", n.State)
	}

	release()
	storm(t, r, d, 1000, 20, &promised)
	if promised.len() != before+20 {
		t.Errorf("%d of 20 leases were acknowledged when there was room again", promised.len()-before)
	}
	if script := p.get(t, ".1.1", ask); answerPath.FindString(script) == "" {
		t.Errorf("the armed node is told:\n%s", script)
	}
	onlyN1(t, p)
	promised.check(t, p)
	d.kill()
	p.serve()
	promised.check(t, p)
	onlyN1(t, p)
}
