package sockets

import (
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, when Trigger) *Set {
	t.Helper()
	s, err := Open(when)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// pair is a socket of the set, and who writes to it.
func pair(t *testing.T, s *Set) (fd, peer int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(p[0]), unix.Close(p[1]) })
	if err := s.Add(p[0]); err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

func TestWaitTellsWhoCanBeRead(t *testing.T) {
	s := open(t, Level)
	first, toFirst := pair(t, s)
	second, _ := pair(t, s)
	for _, text := range []string{"one", "two"} {
		if err := Write(toFirst, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var p [16]byte
	for _, want := range []string{"one", "two"} {
		ready, rung, err := s.Wait(-1, nil)
		if err != nil || rung || !slices.Equal(ready, []int{first}) {
			t.Fatalf("ready %v, rung %v, error %v; want %d alone", ready, rung, err, first)
		}
		if n, err := Read(first, p[:]); err != nil || string(p[:n]) != want {
			t.Fatalf("read %q (error %v), want %q", p[:n], err, want)
		}
	}
	if _, err := Read(second, p[:]); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("an empty socket: error %v", err)
	}
	if ready, rung, err := s.Wait(0, nil); err != nil || rung || len(ready) > 0 {
		t.Errorf("nothing to read: ready %v, rung %v, error %v", ready, rung, err)
	}
}

// An edge is told once for what has arrived, and again when more arrives.
func TestEdgeTellsOnce(t *testing.T) {
	s := open(t, Edge)
	fd, peer := pair(t, s)
	for _, want := range [][]int{{fd}, nil, {fd}} {
		if want != nil {
			if err := Write(peer, []byte("more")); err != nil {
				t.Fatal(err)
			}
		}
		if ready, _, err := s.Wait(0, nil); err != nil || !slices.Equal(ready, want) {
			t.Fatalf("ready %v (error %v), want %v", ready, err, want)
		}
	}
}

func TestRingWakesWhoWaits(t *testing.T) {
	s := open(t, Level)
	rang := make(chan error, 1)
	go func() {
		_, rung, err := s.Wait(-1, nil)
		if !rung {
			err = errors.Join(err, errors.New("it was not the bell"))
		}
		rang <- err
	}()
	s.Ring()
	if err := <-rang; err != nil {
		t.Fatal(err)
	}
	if _, rung, err := s.Wait(time.Millisecond, nil); rung || err != nil {
		t.Errorf("rung %v, error %v; one ring is heard once", rung, err)
	}
}
