package lab

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/internal/netns"
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

// do calls f inside the namespace; sockets that f opens stay there.
func (n *namespace) do(f func() error) error { return netns.Do(n.name, f) }
