package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A daemon that was told to ask is on no wire until the page chooses one, and
// then serves it as if it had been named.
func TestInterfaceIsChosenOnThePage(t *testing.T) {
	asked := serveOptions{interfaces: []string{askForInterface}, operator: "127.0.0.1:0", dhcp: "server", httpPort: 8080, tftpPort: 69, syslog: syslogOn, ownLAN: "10.20.0.0/16"}
	var runs []serveOptions
	err := serveChosen(t.Context(), asked, func(_ context.Context, o serveOptions, choose chan string) error {
		runs = append(runs, o)
		if choose != nil {
			return errors.Join(fmt.Errorf("serving: %w", wireChosen{"eth7", "127.0.0.1:8123"}), nil)
		}
		return nil
	})
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	waits, serves := runs[0], runs[1]
	if waits.dhcp != "off" || waits.syslog != syslogOff || waits.httpPort != 0 || waits.tftpPort != 0 || !cmp.Equal(waits.interfaces, []string{"lo"}) {
		t.Errorf("while it waits: %+v", waits)
	}
	if serves.dhcp != "server" || serves.httpPort != 8080 || serves.operator != "127.0.0.1:8123" || !cmp.Equal(serves.interfaces, []string{"eth7"}) {
		t.Errorf("once it was chosen: %+v", serves)
	}
}

func TestServeThatNeedNotAsk(t *testing.T) {
	runs := 0
	run := func(_ context.Context, _ serveOptions, choose chan string) error {
		if runs++; choose != nil {
			t.Error("it waits")
		}
		return errors.New("the port is busy")
	}
	if err := serveChosen(t.Context(), serveOptions{interfaces: []string{"eth0"}}, run); err == nil || runs != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
	if err := serveChosen(t.Context(), serveOptions{interfaces: []string{askForInterface}}, run); err == nil || runs != 1 {
		t.Error("without a page, nobody could choose")
	}
}

// TestInterfaceThatGoesDown: a start that cannot look ends with what to do.
func TestInterfaceThatGoesDown(t *testing.T) {
	down := cannotListen("enp3s0", fmt.Errorf("sending a DISCOVER: %w", os.NewSyscallError("sendto", syscall.ENETDOWN)))
	if !strings.Contains(down.Error(), "`ip link set enp3s0 up`") || !errors.Is(down, syscall.ENETDOWN) {
		t.Error(down)
	}
	if other := cannotListen("enp3s0", os.ErrPermission); strings.Contains(other.Error(), "ip link") || !errors.Is(other, os.ErrPermission) {
		t.Error(other)
	}
}
