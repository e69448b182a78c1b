package answer

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEarlyLeavesNobodyOnItsOutput is the installer's view of early.sh: it
// reads the script's output until the last holder of the pipe has gone, and
// waits for ever if the log watcher is one of them. Debian 13's d-i did.
func TestEarlyLeavesNobodyOnItsOutput(t *testing.T) {
	early := scripts(t)["early.sh"]
	at := strings.Index(early, "watch_log() {")
	if at < 0 {
		t.Fatal("early.sh has no log watcher any more")
	}
	file := scriptFile(t, "report() { :; }\nevidence() { :; }\n"+early[at:]+"\necho prepared\n")
	for _, shell := range [][]string{{"busybox", "sh"}, {"dash"}} {
		t.Run(shell[0], func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil {
				t.Skipf("needs %s: apt install %[1]s", shell[0])
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, shell[0], append(shell[1:], file)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			// The watcher outlives its script, as it should; not this test.
			defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }()
			out, err := cmd.Output()
			if err != nil || string(out) != "prepared\n" {
				t.Errorf("the script's output did not end: %v %q", err, out)
			}
		})
	}
}
