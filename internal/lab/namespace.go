package lab

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type namespace struct {
	t    testing.TB
	name string
}

func (l *Lab) namespace(name string) *namespace {
	l.t.Helper()
	ns := &namespace{t: l.t, name: l.id + "-" + name}
	if out, err := exec.Command("ip", "netns", "add", ns.name).CombinedOutput(); err != nil {
		if os.IsPermission(err) || strings.Contains(string(out), "not permitted") {
			l.t.Skipf("needs network namespaces: ip netns add: %s", out)
		}
		l.t.Fatalf("adding the namespace %s: %v: %s", ns.name, err, out)
	}
	l.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", ns.name).CombinedOutput(); err != nil {
			l.t.Errorf("removing the namespace %s: %v: %s", ns.name, err, out)
		}
	})
	ns.ip("link", "set", "lo", "up")
	return ns
}

// ip runs `ip` inside the namespace.
func (n *namespace) ip(args ...string) {
	n.t.Helper()
	args = append([]string{"-n", n.name}, args...)
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// do calls f on a thread that is inside the namespace. Sockets that f opens stay inside it for good;
// goroutines that f starts do not run there.
func (n *namespace) do(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("opening this thread's network namespace: %w", err)
	}
	defer home.Close()
	target, err := os.Open("/run/netns/" + n.name)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("opening the network namespace: %w", err)
	}
	defer target.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering the network namespace %s: %w", n.name, err)
	}
	// A thread that cannot come home stays locked: the runtime ends it with this goroutine.
	result := f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leaving the network namespace %s: %w", n.name, err)
	}
	runtime.UnlockOSThread()
	return result
}
