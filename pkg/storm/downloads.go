package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/internal/sockets"
)

// downloads runs TFTP clients, all of them in one goroutine. With one for each, a
// datagram cost this program more than the server, and a storm measured the
// program.
type downloads struct {
	set      *sockets.Set
	stopping atomic.Bool

	mu    sync.Mutex
	inbox []*tftpTransfer

	running map[int]*tftpTransfer // by socket
	looked  time.Time             // at who waits too long
	ready   []int
	buf     [1 << 16]byte

	ended chan struct{}
	err   error // why it ended early; valid then
}

// askingTick is how exactly clients keep to their timeouts.
const askingTick = 10 * time.Millisecond

func openDownloads() (*downloads, error) {
	set, err := sockets.Open(sockets.Edge)
	if err != nil {
		return nil, err
	}
	d := &downloads{set: set, running: map[int]*tftpTransfer{}, ended: make(chan struct{})}
	go func() {
		defer close(d.ended)
		d.err = d.run()
	}()
	return d, nil
}

// close waits for the downloads that run.
func (d *downloads) close() error {
	d.stopping.Store(true)
	d.set.Ring()
	<-d.ended
	d.set.Close()
	return d.err
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
	d.set.Ring()
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
	for {
		ready, rung, err := d.set.Wait(askingTick, d.ready[:0])
		if err != nil {
			return fmt.Errorf("waiting for the TFTP server: %w", err)
		}
		d.ready = ready
		now := time.Now()
		for _, fd := range ready {
			if t := d.running[fd]; t != nil {
				d.receive(t, now)
			}
		}
		if rung {
			d.admit(now)
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
	d.running[t.fd] = t
	t.wake = now.Add(t.config.Timeout)
	err := d.set.Add(t.fd)
	if err == nil {
		err = t.send(t.request())
	}
	if err != nil {
		d.end(t, err, now)
	}
}

// receive reads what has arrived. Of a server that waits for each ACK nothing
// more comes after the block that it was waited for, and not to look saves a
// system call; an old block left behind is read before the next.
func (d *downloads) receive(t *tftpTransfer, now time.Time) {
	for {
		n, none, err := t.read(d.buf[:])
		if err != nil {
			d.end(t, err, now)
			return
		}
		if none {
			return
		}
		if n == 0 || t.lost() {
			continue
		}
		advanced, done, err := t.take(d.buf[:n])
		if done || err != nil {
			d.end(t, err, now)
			return
		}
		if advanced {
			t.tries, t.wake = 1, now.Add(t.config.Timeout)
			if t.windowSize == 1 {
				return
			}
		}
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
	delete(d.running, t.fd)
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
