package ipmisim

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// chassisSocket is where the chassis program finds the test.
const chassisSocket = "RACKSEED_TEST_CHASSIS"

// ChassisProgram is for TestMain: in a process that ipmi_sim started it hands
// the arguments to the test, prints the answer, and reports that it did.
func ChassisProgram() (done bool, err error) {
	socket := os.Getenv(chassisSocket)
	if socket == "" {
		return false, nil
	}
	conn, err := new(net.Dialer).DialContext(context.Background(), "unix", socket)
	if err != nil {
		return true, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, strings.Join(os.Args[1:], "\n")); err != nil {
		return true, err
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return true, err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return true, err
	}
	text, ok := strings.CutPrefix(string(answer), "ok\n")
	if !ok {
		return true, fmt.Errorf("the machine: %s", answer)
	}
	_, err = io.WriteString(os.Stdout, text)
	return true, err
}

// ServeChassis has chassis answer what ipmi_sim asks of the machine, in the
// words of its chassis_control, one request at a time. It gives the program
// for Config.Chassis. The folder's path must be short: a socket lies in it.
func ServeChassis(t testing.TB, dir string, chassis func(args []string) (string, error)) (program string) {
	t.Helper()
	socket := filepath.Join(dir, "chassis.sock")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request, _ := io.ReadAll(conn)
			answer, err := chassis(strings.Split(string(request), "\n"))
			if err != nil {
				answer = err.Error()
			} else {
				answer = "ok\n" + answer
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "program")
	write(t, program, 0o755, fmt.Sprintf("#!/bin/sh\n%s=%s exec %s \"$@\"\n", chassisSocket, socket, self))
	return program
}
