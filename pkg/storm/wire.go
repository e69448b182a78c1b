package storm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// dhcpPort is where servers and relay agents listen (RFC 2131 section 4.1).
const dhcpPort = 67

// wireBuffer holds the answers to the largest burst: the generator must not be
// the one that drops.
const wireBuffer = 16 << 20

// wire is the relay agent's socket. One thread waits in ppoll, reads and writes
// in batches: Go's poller would wake a millisecond late for an open loop, and a
// system call for each packet costs as much as a fast server's answer.
type wire struct {
	conn    *net.UDPConn
	pc      *ipv4.PacketConn
	fd      int
	inode   uint64
	ownPort bool // not port 67: servers need RFC 8357 to answer
	to      *net.UDPAddr
	in, out []ipv4.Message
	start   time.Time
}

// openWire binds the relay agent's address. Port 0 means 67 if this process may
// have it, else any.
func openWire(relay netip.Addr, port uint16, server netip.AddrPort) (*wire, error) {
	want := port
	if want == 0 {
		want = dhcpPort
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(relay, want)))
	if port == 0 && (errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EADDRINUSE)) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(relay, 0)))
	}
	if err != nil {
		return nil, fmt.Errorf("opening the relay's socket on %s: %w (--relay must be an address of this machine)", relay, err)
	}
	w := &wire{conn: conn, pc: ipv4.NewPacketConn(conn), to: net.UDPAddrFromAddrPort(server)}
	w.ownPort = conn.LocalAddr().(*net.UDPAddr).Port != dhcpPort
	if err := w.prepare(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	w.in = make([]ipv4.Message, batch)
	w.out = make([]ipv4.Message, batch)
	for i := range w.in {
		w.in[i].Buffers = [][]byte{make([]byte, 1500)}
		w.out[i].Buffers = make([][]byte, 1)
		w.out[i].Addr = w.to
	}
	return w, nil
}

func (w *wire) prepare() error {
	raw, err := w.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("preparing the relay's socket: %w", err)
	}
	var stat unix.Stat_t
	var statErr error
	err = raw.Control(func(fd uintptr) {
		w.fd = int(fd)
		if unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, wireBuffer) != nil {
			// Without CAP_NET_ADMIN net.core.rmem_max is the limit; drops are counted.
			_ = unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, wireBuffer)
		}
		statErr = unix.Fstat(w.fd, &stat)
	})
	w.inode = stat.Ino
	if err := errors.Join(err, statErr); err != nil {
		return fmt.Errorf("preparing the relay's socket: %w", err)
	}
	return nil
}

func (w *wire) close() error { return w.conn.Close() }

func (w *wire) now() time.Duration { return time.Since(w.start) }

// flush sends the outbox.
func (w *wire) flush(o *outbox) error {
	for i := range o.n {
		w.out[i].Buffers[0] = o.buf[i][:o.len[i]]
	}
	for sent := 0; sent < o.n; {
		n, err := w.pc.WriteBatch(w.out[sent:o.n], 0)
		if err != nil {
			return fmt.Errorf("sending to %s: %w", w.to, err)
		}
		sent += n
	}
	o.n = 0
	return nil
}

// wait returns when a datagram is there or after d.
func (w *wire) wait(d time.Duration) error {
	ts := unix.NsecToTimespec(int64(d))
	_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, &ts, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for answers: %w", err)
	}
	return nil
}

// read returns how many messages of w.in are filled, without waiting.
func (w *wire) read() (int, error) {
	n, err := w.pc.ReadBatch(w.in, unix.MSG_DONTWAIT)
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading answers: %w", err)
	}
	return n, nil
}

// patience bounds how long a wait can hide a cancelled context.
const patience = 20 * time.Millisecond

// run drives x until every exchange has ended, ctx is cancelled or limit has
// passed. tell is called once per round with the time.
func (w *wire) run(ctx context.Context, x *exchanger, limit time.Duration, tell func(time.Duration)) error {
	w.start = time.Now()
	for !x.done() {
		now := w.now()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if now > limit {
			return nil
		}
		x.tick(now)
		if err := w.flush(&x.out); err != nil {
			return err
		}
		tell(now)
		if d := min(x.next()-w.now(), patience); d > 0 {
			if err := w.wait(d); err != nil {
				return err
			}
		}
		n, err := w.read()
		if err != nil {
			return err
		}
		now = w.now()
		for i := range n {
			x.receive(now, w.in[i].Buffers[0][:w.in[i].N])
		}
	}
	return nil
}
