package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"--count", "3", "--at", "127.77.9.1:0", "--fault", "bmc-lies=2"}, w)
		_ = w.Close()
		done <- err
	}()
	var faults int
	lines := bufio.NewScanner(r)
	for n := 0; n < 3; n++ {
		if !lines.Scan() {
			t.Fatalf("it ended: %v", <-done)
		}
		if !strings.HasPrefix(lines.Text(), "https://127.77.9.") {
			t.Errorf("it says %q", lines.Text())
		}
		if strings.HasSuffix(lines.Text(), " bmc-lies") {
			faults++
		}
	}
	if faults != 2 {
		t.Errorf("%d BMCs lie, want 2", faults)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"bmc-what", "bmc-lies=0", "bmc-lies=x"} {
		if _, err := parseFault(bad); err == nil {
			t.Errorf("--fault %s is taken", bad)
		}
	}
}
