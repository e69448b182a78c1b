package syslog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxMessage     = 8 << 10 // bytes; RFC 5424 wants 2,048 to be taken
	maxConnections = 1024
	maxPerSource   = 8
	maxSources     = 1 << 14
	idle           = 30 * time.Minute // an installer that writes nothing for so long is gone
	receiveBuffer  = 4 << 20
)

// Receiver takes log messages on its sockets. Set the fields, call Listen,
// then Serve.
type Receiver struct {
	// Observe gets each message with the address it came from, from several
	// goroutines. Suppressed is how many of that source were passed over
	// before it, because it said more than PerSecond.
	Observe func(from netip.Addr, m Message, suppressed int)
	// PerSecond and Burst bound what one source is heard to say; zero means
	// 200 and 2,000.
	PerSecond float64
	Burst     int
	Now       func() time.Time // nil means time.Now
	Log       *slog.Logger     // nil means silence

	packets []*net.UDPConn
	streams []net.Listener

	mu      sync.Mutex
	sources map[netip.Addr]*source
	open    map[net.Conn]netip.Addr
	running sync.WaitGroup
}

// source is what is known of one sender.
type source struct {
	limit       *rate.Limiter
	suppressed  int
	connections int
}

// Listen opens an address for UDP and TCP. It starts no goroutine, and may be
// called for several addresses; an error leaves those before it open.
func (r *Receiver) Listen(ctx context.Context, at netip.AddrPort) error {
	var config net.ListenConfig
	udp, err := config.ListenPacket(ctx, "udp", at.String())
	if err != nil {
		return fmt.Errorf("opening the syslog port: %w", err)
	}
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), udp.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	}
	tcp, err := config.Listen(ctx, "tcp", at.String())
	if err != nil {
		return errors.Join(fmt.Errorf("opening the syslog port: %w", err), udp.Close())
	}
	conn := udp.(*net.UDPConn)
	_ = conn.SetReadBuffer(receiveBuffer) // the system's limit still beats its default
	r.packets = append(r.packets, conn)
	r.streams = append(r.streams, tcp)
	return nil
}

// Addrs are the addresses that Listen opened.
func (r *Receiver) Addrs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, c := range r.packets {
		all = append(all, plain(c.LocalAddr().(*net.UDPAddr).AddrPort()))
	}
	return all
}

func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Close closes the sockets. Serve does so when it ends.
func (r *Receiver) Close() {
	for _, c := range r.packets {
		_ = c.Close()
	}
	for _, l := range r.streams {
		_ = l.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		_ = c.Close()
	}
}

// Serve receives until ctx ends, and returns when nothing of it runs any more.
func (r *Receiver) Serve(ctx context.Context) error {
	r.defaults()
	for _, c := range r.packets {
		r.running.Go(func() { r.receive(ctx, c) })
	}
	for _, l := range r.streams {
		r.running.Go(func() { r.accept(ctx, l) })
	}
	<-ctx.Done()
	r.Close()
	r.running.Wait()
	return nil
}

func (r *Receiver) defaults() {
	if r.PerSecond <= 0 {
		r.PerSecond = 200
	}
	if r.Burst <= 0 {
		r.Burst = 2000
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	r.sources, r.open = map[netip.Addr]*source{}, map[net.Conn]netip.Addr{}
}

func (r *Receiver) receive(ctx context.Context, c *net.UDPConn) {
	buf := make([]byte, maxMessage)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			r.Log.Debug("receiving syslog", "error", err)
			if !pause(ctx) {
				return
			}
			continue
		}
		r.take(plain(from).Addr(), buf[:n])
	}
}

// pause keeps a socket that fails again and again from spinning.
func pause(ctx context.Context) bool {
	t := time.NewTimer(100 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *Receiver) accept(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			r.Log.Debug("accepting syslog", "error", err)
			if !pause(ctx) {
				return
			}
			continue
		}
		from, ok := r.admit(c)
		if !ok {
			_ = c.Close()
			continue
		}
		r.running.Go(func() {
			defer r.leave(c)
			r.read(c, from)
		})
	}
}

// admit bounds connections, in all and of one source.
func (r *Receiver) admit(c net.Conn) (netip.Addr, bool) {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	from := plain(tcp.AddrPort()).Addr()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sourceOf(from)
	if len(r.open) >= maxConnections || s.connections >= maxPerSource {
		return from, false
	}
	s.connections++
	r.open[c] = from
	return from, true
}

func (r *Receiver) leave(c net.Conn) {
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sourceOf(r.open[c]).connections--
	delete(r.open, c)
}

// sourceOf needs the lock.
func (r *Receiver) sourceOf(from netip.Addr) *source {
	s := r.sources[from]
	if s == nil {
		if len(r.sources) >= maxSources {
			for a, old := range r.sources {
				if old.connections == 0 {
					delete(r.sources, a)
				}
			}
		}
		s = &source{limit: rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)}
		r.sources[from] = s
	}
	return s
}

// read takes the messages of one connection.
func (r *Receiver) read(c net.Conn, from netip.Addr) {
	frames := bufio.NewReaderSize(c, maxMessage)
	for {
		if err := c.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return
		}
		frame, err := ReadFrame(frames)
		if len(frame) > 0 {
			r.take(from, frame)
		}
		if err != nil {
			return
		}
	}
}

// errFrame means that a stream is not syslog.
var errFrame = errors.New("a frame that is longer than a message may be")

// ReadFrame reads one message of a stream: behind its length and a blank, or
// up to a newline (RFC 6587 sections 3.4.1 and 3.4.2). What is longer than a
// message may be is cut. The bytes hold until the next call.
func ReadFrame(r *bufio.Reader) ([]byte, error) {
	first, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] < '1' || first[0] > '9' {
		return readLine(r)
	}
	length := 0
	for {
		c, err := r.ReadByte()
		switch {
		case err != nil:
			return nil, err
		case c >= '0' && c <= '9' && length < 1<<20:
			length = length*10 + int(c-'0')
			continue
		case c != ' ':
			// A line that begins with a digit: its number is lost, its text is not.
			return readLine(r)
		}
		break
	}
	if length > 1<<20 {
		return nil, errFrame
	}
	frame := make([]byte, min(length, maxMessage))
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	_, err = r.Discard(length - len(frame))
	return frame, err
}

func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return bytes.TrimRight(line, "\x00\r\n"), err
	}
	line = bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return line, err
}

// take passes a message on unless its source says too much.
func (r *Receiver) take(from netip.Addr, data []byte) {
	if len(bytes.TrimSpace(data)) == 0 {
		return
	}
	r.mu.Lock()
	s := r.sourceOf(from)
	if !s.limit.AllowN(r.Now(), 1) {
		s.suppressed++
		r.mu.Unlock()
		return
	}
	suppressed := s.suppressed
	s.suppressed = 0
	r.mu.Unlock()
	r.Observe(from, Parse(data), suppressed)
}
