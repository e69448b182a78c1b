//go:build e2e

// Package e2e installs real operating systems: the distribution's own installer, on an emulated machine
// with an empty disk, fed by nothing but `rackseed serve` and one medium.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/lab"
)

// Without KVM an install takes a quarter of an hour on a quiet machine, and several times that on a busy one.
const (
	installTime = 50 * time.Minute
	bootTime    = 10 * time.Minute
)

// TestDebianInstallsItself is the product's promise in one piece: a machine with an empty disk and network
// boot, one command, and a tuned system that runs from its disk and that the daemon knows.
func TestDebianInstallsItself(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", oneNode())
	disk := emptyDisk(t, s.Dir(), "disk", 12<<30)
	install := s.server.Start(s.binary, "install", node, "--no-power", "--reason", "end-to-end test", "--state", s.state)
	s.waitState(t, "armed", time.Minute)

	start := time.Now()
	machine := s.PowerOn(lab.Machine{Name: node, MAC: nodeMAC(), Memory: 1536, Disk: disk, Serial: "E2E0001"})
	ctx, cancel := context.WithTimeout(t.Context(), installTime)
	defer cancel()
	if err := s.waitInstalled(t, ctx, install, machine); err != nil {
		t.Fatalf("the install: %v\n%s\nthe machine's console ends with:\n%s", err, install.Log.Tail(40), machine.Serial.Tail(40))
	}
	t.Logf("ready %.0f s after power-on", time.Since(start).Seconds())
	s.isReady(t)
	s.isTuned(t, ctx, node, nodeAddr)

	t.Run("SecondNetworkBoot", func(t *testing.T) {
		before := s.show(t)
		if err := machine.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), bootTime)
		defer cancel()
		// The first boot from disk, right after the install, came over the network as well.
		if _, err := machine.WaitSerial(ctx, `(?s)(starts from its disk.*?`+node+` login:.*?){2}`); err != nil {
			t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
		}
		s.isReady(t)
		if after := s.show(t); after.Attempt != before.Attempt {
			t.Errorf("the second boot began attempt %d", after.Attempt)
		}
	})
}

// waitInstalled waits for the command that installs. Without KVM the installer's kernel has once panicked while it
// restarted: whoever stands before such a machine presses its button. A panic before the disk is complete is a
// failure, and is not waited for.
func (s *site) waitInstalled(t *testing.T, ctx context.Context, install *lab.Process, machine *lab.Running) error {
	t.Helper()
	ended, panicked := make(chan error, 1), make(chan struct{})
	go func() { ended <- install.Wait(ctx) }()
	go func() {
		if _, err := machine.WaitSerial(ctx, `Kernel panic - not syncing`); err == nil {
			close(panicked)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-panicked:
	}
	if state := s.show(t).State; state != "installed" {
		return fmt.Errorf("the machine's kernel panicked while the node was %s", state)
	}
	t.Log("the installer's kernel panicked while it restarted: reset")
	if err := machine.Reset(ctx); err != nil {
		return err
	}
	return <-ended
}

// isReady asserts what the daemon says of the node after its first boot.
func (s *site) isReady(t *testing.T) {
	t.Helper()
	shown := s.show(t)
	if shown.State != "ready" || len(shown.Deviations) > 0 || shown.Attempt != 1 {
		t.Errorf("node show says %+v; want ready after attempt 1, without deviations", shown)
	}
}

// isTuned logs in with the key of the plan and asks the kernel, not the daemon.
func (s *site) isTuned(t *testing.T, ctx context.Context, name, addr string) {
	t.Helper()
	for _, check := range []struct{ command, want string }{
		{"hostname --fqdn", name + "." + domain},
		{"sysctl -n vm.swappiness", "10"},
		{"sysctl -n net.core.somaxconn", "4096"},
		{"ulimit -n", "65536"},
		{"cat /proc/sys/kernel/pid_max", "1048576"},
		{"findmnt -no FSTYPE /", "ext4"},
		{"systemctl is-active chrony", "active"},
		{"readlink /etc/localtime | sed s,.*zoneinfo/,,", "Asia/Shanghai"},
		{"passwd -S root | cut -d' ' -f2", "L"},
	} {
		out, err := s.ssh(ctx, addr, check.command)
		if got := strings.TrimSpace(out); err != nil || got != check.want {
			t.Errorf("on the node, %s says %q (error %v), want %q", check.command, got, err, check.want)
		}
	}
}

func (s *site) show(t *testing.T) (shown struct {
	State, Stage, Reason string
	Deviations           []string
	Attempt              int
},
) {
	t.Helper()
	out := s.rackseed(t, "node", "show", node, "--json")
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("node show printed %q: %v", out, err)
	}
	return shown
}
