package tftp

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pintftp "github.com/pin/tftp/v3"
)

// Timers of the library: 100 ms for an answer, then a pause that doubles from
// 50 ms to 1 s. Its defaults of 5 s and a random second make minutes out of one
// per cent of loss. 13 packets over some 9 s outlast a client that answers
// every 4.9 s.
const (
	pinTimeout = 100 * time.Millisecond
	pinRetries = 12
)

// backoff is also where a stop is hurried: the library cannot be interrupted.
func (c *pinCarrier) backoff(attempt int) time.Duration {
	if attempt == 0 || c.stopping.Load() {
		return 0
	}
	return min(25*time.Millisecond<<min(attempt, 10), time.Second)
}

// pinCarrier lets github.com/pin/tftp carry transfers without options. We own the
// port, the parsing and the admission; the library sees a request of a clean name,
// a mode and nothing else, and never a packet that a client composed. It opens a
// socket of its own, on whose source address we have no influence: see fits.
type pinCarrier struct {
	server *pintftp.Server
	desk   *desk
	report func(Transfer)
	now    func() time.Time
	room   chan struct{}

	requests chan netip.AddrPort
	closed   chan struct{}
	stopping atomic.Bool
	running  sync.WaitGroup

	mu      sync.Mutex
	pending map[netip.AddrPort]*pinned
	// taken is the request that the library is taking in just now.
	taken netip.AddrPort
}

// pinned is a transfer in the library's hands.
type pinned struct {
	file     File
	netascii bool
	seat     *seat
	account  Transfer
	started  time.Time
	acked    int64
	resent   int
}

var errStopping = errors.New("server is stopping")

func newPinCarrier(room int, d *desk, now func() time.Time, report func(Transfer)) *pinCarrier {
	c := &pinCarrier{
		desk: d, report: report, now: now,
		room:     make(chan struct{}, max(room, 1)),
		requests: make(chan netip.AddrPort), closed: make(chan struct{}),
		pending: make(map[netip.AddrPort]*pinned),
	}
	c.server = pintftp.NewServer(c.carry, nil)
	c.server.SetTimeout(pinTimeout)
	c.server.SetRetries(pinRetries)
	c.server.SetBackoff(c.backoff)
	c.server.SetHook(c)
	return c
}

// fits reports whether the library would answer from the address that was asked
// and has room, and takes a place if so.
func (c *pinCarrier) fits(a arrival) bool {
	if !routesFrom(a) {
		return false
	}
	select {
	case c.room <- struct{}{}:
		return true
	default:
		return false
	}
}

// run serves until close.
func (c *pinCarrier) run() error { return c.server.Serve((*pinConn)(c)) }

// add hands over a transfer for which fits was true.
func (c *pinCarrier) add(p *pinned) {
	c.running.Add(1)
	// The library cannot be told to drop a transfer.
	c.desk.confirm(p.seat)
	c.mu.Lock()
	c.pending[p.account.Client] = p
	c.mu.Unlock()
	c.requests <- p.account.Client
}

// close ends running transfers at their next block and waits for them.
func (c *pinCarrier) close(grace <-chan time.Time) {
	idle := make(chan struct{})
	go func() {
		c.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-grace:
		c.stopping.Store(true)
		<-idle
	}
	close(c.closed)
	c.server.Shutdown()
}

// carry is the library's read handler. The error is never given to the library,
// which would send its text to the client.
func (c *pinCarrier) carry(_ string, to io.ReaderFrom) error {
	remote := to.(pintftp.OutgoingTransfer).RemoteAddr()
	p := c.lookup(remote.AddrPort())
	if p == nil {
		return ErrNotFound
	}
	o, why := Aborted, "sender failed"
	defer func() {
		if recover() != nil {
			o, why = Aborted, "reading the file failed"
		}
		c.finish(p, o, why)
	}()
	n, err := to.ReadFrom(&pinContent{r: io.NewSectionReader(p.file.Content, 0, p.file.Size), stopping: &c.stopping})
	if err == nil {
		p.acked = n
	}
	o, why = pinOutcome(err)
	return nil
}

func pinOutcome(err error) (Outcome, string) {
	var timeout net.Error
	switch {
	case err == nil:
		return Done, ""
	case errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut, "client stopped answering"
	case errors.Is(err, errStopping), errors.Is(err, errContent):
		return Aborted, err.Error()
	case strings.Contains(err.Error(), "code="):
		return Aborted, "client sent an error"
	}
	return Aborted, "sending failed"
}

func (c *pinCarrier) lookup(client netip.AddrPort) *pinned {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending[plainAddrPort(client)]
}

func plainAddrPort(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (c *pinCarrier) finish(p *pinned, o Outcome, why string) {
	c.mu.Lock()
	delete(c.pending, p.account.Client)
	c.mu.Unlock()
	<-c.room
	c.desk.leave(p.seat)
	p.account.Bytes, p.account.Resent = p.acked, p.resent
	p.account.Took = c.now().Sub(p.started)
	p.account.Outcome, p.account.Why = o, why
	c.report(p.account)
	c.running.Done()
}

// OnSuccess is the library's account of a transfer.
func (c *pinCarrier) OnSuccess(s pintftp.TransferStats) { c.count(s) }

// OnFailure is also called, without an address, for a request that the library
// could not take in: when no socket is to be had.
func (c *pinCarrier) OnFailure(s pintftp.TransferStats, _ error) {
	if s.RemoteAddr != nil {
		c.count(s)
		return
	}
	c.mu.Lock()
	p := c.pending[c.taken]
	c.mu.Unlock()
	if p != nil {
		c.finish(p, Aborted, "no socket for the transfer")
	}
}

func (c *pinCarrier) count(s pintftp.TransferStats) {
	addr, ok := netip.AddrFromSlice(s.RemoteAddr)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for client, p := range c.pending {
		if client.Port() == uint16(s.Tid) && client.Addr().WithZone("") == addr.Unmap() {
			p.acked = min(int64(s.DatagramsAcked)*defaultBlksize, p.file.Size)
			p.resent = s.DatagramsSent - s.DatagramsAcked
			return
		}
	}
}

// pinContent gives the library errors whose text may be sent, and stops it.
type pinContent struct {
	r        io.Reader
	stopping *atomic.Bool
}

func (r *pinContent) Read(p []byte) (int, error) {
	if r.stopping.Load() {
		return 0, errStopping
	}
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = errContent
	}
	return n, err
}

// pinConn is the "listening socket" of the library: it yields the requests that
// were parsed and admitted.
type pinConn pinCarrier

var _ net.PacketConn = (*pinConn)(nil)

// ReadFrom composes the request anew.
func (c *pinConn) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case client := <-c.requests:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.taken = client
		t := c.pending[client]
		mode := "octet"
		if t.netascii {
			mode = "netascii"
		}
		n := copy(p, "\x00\x01"+t.account.Name+"\x00"+mode+"\x00")
		return n, net.UDPAddrFromAddrPort(client), nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

// LocalAddr satisfies the library, which looks at its address family.
func (c *pinConn) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4zero} }

// The rest is never called by the library outside of single-port mode.

func (c *pinConn) WriteTo([]byte, net.Addr) (int, error) { return 0, errors.ErrUnsupported }
func (c *pinConn) Close() error                          { return nil }
func (c *pinConn) SetDeadline(time.Time) error           { return errors.ErrUnsupported }
func (c *pinConn) SetReadDeadline(time.Time) error       { return errors.ErrUnsupported }
func (c *pinConn) SetWriteDeadline(time.Time) error      { return errors.ErrUnsupported }
