package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// downloads runs TFTP clients, all of them in one goroutine. With one for each, a
// datagram cost this program more than the server, and a storm measured the
// program.
type downloads struct {
	poll, alarm int
	stopping    atomic.Bool

	mu    sync.Mutex
	inbox []*tftpTransfer

	running map[int32]*tftpTransfer
	looked  time.Time // at who waits too long
	buf     [1 << 16]byte

	ended chan struct{}
	err   error // why it ended early; valid then
}

// askingTick is how exactly clients keep to their timeouts.
const askingTick = 10 * time.Millisecond

func openDownloads() (*downloads, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	alarm, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(poll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	d := &downloads{poll: poll, alarm: alarm, running: map[int32]*tftpTransfer{}, ended: make(chan struct{})}
	if err := d.watch(alarm); err != nil {
		_, _ = unix.Close(poll), unix.Close(alarm)
		return nil, err
	}
	go func() {
		defer close(d.ended)
		d.err = d.run()
	}()
	return d, nil
}

// close waits for the downloads that run.
func (d *downloads) close() error {
	d.stopping.Store(true)
	d.ring()
	<-d.ended
	_, _ = unix.Close(d.poll), unix.Close(d.alarm)
	return d.err
}

func (d *downloads) watch(fd int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(d.poll, unix.EPOLL_CTL_ADD, fd, &ev))
}

func (d *downloads) ring() {
	// The only failure is a counter that is full, and then it rings already.
	_, _ = unix.Write(d.alarm, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// get downloads once. i numbers the client for the seed of its losses.
func (d *downloads) get(ctx context.Context, c TFTPConfig, i int, from netip.Addr, counts *tally) *tftpTransfer {
	t := &tftpTransfer{ctx: ctx, config: c, from: from, counts: counts, probing: c.Probe, ended: make(chan struct{})}
	if c.Loss > 0 {
		t.lose = rand.New(rand.NewPCG(c.Seed, uint64(i)))
	}
	d.mu.Lock()
	d.inbox = append(d.inbox, t)
	d.mu.Unlock()
	d.ring()
	select {
	case <-t.ended:
	case <-d.ended:
		return &tftpTransfer{err: fmt.Errorf("the downloads ended: %w", d.err)}
	}
	if t.err != nil {
		counts.failed.Add(1)
	} else {
		counts.done.Add(1)
	}
	return t
}

func (d *downloads) run() error {
	var events [256]unix.EpollEvent
	for {
		n, err := unix.EpollWait(d.poll, events[:], int(askingTick/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for the TFTP server: %w", os.NewSyscallError("epoll_wait", err))
		}
		now := time.Now()
		for _, ev := range events[:max(n, 0)] {
			if int(ev.Fd) == d.alarm {
				d.admit(now)
			} else if t := d.running[ev.Fd]; t != nil {
				d.receive(t, now)
			}
		}
		if now.Sub(d.looked) >= askingTick {
			d.looked = now
			d.remind(now)
		}
		if d.stopping.Load() && len(d.running) == 0 && d.idle() {
			return nil
		}
	}
}

func (d *downloads) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.inbox) == 0
}

func (d *downloads) admit(now time.Time) {
	var count [8]byte
	_, _ = unix.Read(d.alarm, count[:])
	d.mu.Lock()
	fresh := d.inbox
	d.inbox = nil
	d.mu.Unlock()
	for _, t := range fresh {
		t.started = now
		d.begin(t, now)
	}
}

// begin makes one request: of the size, if that is to be asked for first, or of
// the file.
func (d *downloads) begin(t *tftpTransfer, now time.Time) {
	if err := t.open(); err != nil {
		t.finish(err)
		return
	}
	d.running[int32(t.fd)] = t
	t.wake = now.Add(t.config.Timeout)
	err := d.watch(t.fd)
	if err == nil {
		err = t.send(t.request())
	}
	if err != nil {
		d.end(t, err, now)
	}
}

func (d *downloads) receive(t *tftpTransfer, now time.Time) {
	n, err := t.read(d.buf[:])
	if err != nil {
		d.end(t, err, now)
		return
	}
	if n == 0 || t.lost() {
		return
	}
	advanced, done, err := t.take(d.buf[:n])
	if done || err != nil {
		d.end(t, err, now)
		return
	}
	if advanced {
		t.tries, t.wake = 1, now.Add(t.config.Timeout)
	}
}

// remind has those ask again who wait too long.
func (d *downloads) remind(now time.Time) {
	for _, t := range d.running {
		switch {
		case t.ctx.Err() != nil:
			d.end(t, context.Cause(t.ctx), now)
		case now.Before(t.wake):
		case t.tries >= t.config.Tries:
			d.end(t, errNoAnswer, now)
		default:
			t.tries++
			t.retransmitted++
			t.wake = now.Add(t.config.Timeout)
			if err := t.send(t.last); err != nil {
				d.end(t, err, now)
			}
		}
	}
}

// end closes a request. After the one for the size comes the one for the file.
func (d *downloads) end(t *tftpTransfer, err error, now time.Time) {
	delete(d.running, int32(t.fd))
	_ = unix.Close(t.fd)
	switch {
	case !t.probing:
		t.finish(err)
	case err != nil:
		t.finish(fmt.Errorf("asking for the size: %w", err))
	default:
		t.probing = false
		d.begin(t, now)
	}
}

func (t *tftpTransfer) finish(err error) {
	t.err, t.elapsed = err, time.Since(t.started)
	close(t.ended)
}
