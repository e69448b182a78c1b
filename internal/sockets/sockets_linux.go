// Package sockets lets one goroutine hold many datagram sockets: it waits for
// all of them at once, and reads and writes without telling Go's scheduler of
// calls that might block. With a goroutine for each socket a datagram costs more
// in the scheduler than in the kernel.
package sockets

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Set is the sockets that one goroutine waits for.
type Set struct {
	poll, bell int
	trigger    Trigger
	events     [256]unix.EpollEvent
}

// Trigger is when Wait tells of a socket (epoll(7)).
type Trigger uint32

// Level tells of a socket for as long as it has something to read, so nobody's
// backlog holds up the others. Edge tells once, when something has arrived, which
// costs less: what is left unread then waits for the next arrival.
const (
	Level Trigger = 0
	Edge  Trigger = unix.EPOLLET
)

// Open makes an empty set.
func Open(when Trigger) (*Set, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	s := &Set{poll: poll, trigger: when}
	if s.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(poll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := s.Add(s.bell); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close frees the set, not its sockets. Nobody may wait for it any more.
func (s *Set) Close() { _, _ = unix.Close(s.poll), unix.Close(s.bell) }

// Add puts a socket into the set. It leaves when it is closed.
func (s *Set) Add(fd int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | uint32(s.trigger), Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(s.poll, unix.EPOLL_CTL_ADD, fd, &ev))
}

// Ring has Wait return, from whatever goroutine.
func (s *Set) Ring() {
	one := [8]byte{1}
	// The only failure is a counter that is full, and then it rings already.
	_, _ = unix.Write(s.bell, one[:])
}

// Wait appends to ready the sockets that can be read, after at most so long; a
// negative time is for ever.
func (s *Set) Wait(atMost time.Duration, ready []int) (_ []int, rung bool, err error) {
	limit := -1
	if atMost >= 0 {
		limit = int(atMost / time.Millisecond)
	}
	n, err := unix.EpollWait(s.poll, s.events[:], limit)
	if err != nil && err != unix.EINTR {
		return ready, false, os.NewSyscallError("epoll_wait", err)
	}
	for _, ev := range s.events[:max(n, 0)] {
		if fd := int(ev.Fd); fd != s.bell {
			ready = append(ready, fd)
			continue
		}
		rung = true
		var count [8]byte
		_, _ = unix.Read(s.bell, count[:])
	}
	return ready, rung, nil
}

// Read takes a datagram off a connected socket that does not block; without one
// the error is EAGAIN.
func Read(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Write sends a datagram over a connected socket that does not block.
func Write(fd int, p []byte) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))); errno != 0 {
		return errno
	}
	return nil
}
