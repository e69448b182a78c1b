package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is how long a program may take to end after it was asked to.
const patience = 10 * time.Second

// Process is a program that runs until the test ends or Stop.
type Process struct {
	// Log is what it writes: standard output and standard error.
	Log *Log

	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{}
	err   error // of Wait; read after done
}

func (n *namespace) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.name, program}, args...)...)
}

func (l *Lab) start(name string, cmd *exec.Cmd) *Process {
	l.t.Helper()
	log, err := createLog(filepath.Join(l.dir, name+".log"))
	if err != nil {
		l.t.Fatalf("starting %s: %v", name, err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	// A test process that is killed takes its machines and servers with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = patience
	p := &Process{Log: log, name: name, cmd: cmd, done: make(chan struct{})}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		l.t.Fatalf("starting %s: %v", name, err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		log.end(fmt.Errorf("%s ended: %w", name, exitReason(p.err)))
		close(p.done)
	}()
	l.t.Cleanup(func() {
		p.Stop(l.t)
		if l.t.Failed() {
			l.t.Logf("%s said:\n%s", name, log.Tail(60))
		}
	})
	return p
}

func exitReason(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal; a program that has ended is no error.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signalling %s: %w", p.name, err)
	}
	return nil
}

// Wait returns when the program has ended, with its exit status as exec.Cmd.Wait reports it.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s to end: %w", p.name, ctx.Err())
	}
}

// Stop asks the program to end, and kills it when it does not.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case <-p.done:
		return
	case <-time.After(patience):
	}
	t.Errorf("%s did not end %v after SIGTERM", p.name, patience)
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-p.done
}
