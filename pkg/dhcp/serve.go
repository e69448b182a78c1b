package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/site"
)

// Ledger is what the server needs of the one write path.
type Ledger interface {
	State() *site.State
	Do(ctx context.Context, decide ledger.Decide) (*site.State, error)
	Try(decide ledger.Decide, done func(*site.State, error)) bool
}

// Probe finds out whether a station uses an address, within half a second.
// onLink says that the address belongs to the interface's own wire, where
// ARP reaches it. The MAC is zero when only the address is known.
type Probe func(ctx context.Context, iface string, a netip.Addr, onLink bool) (inUse bool, by site.MAC, err error)

// AnyPort as a port number takes a free one; Addrs tells which.
const AnyPort = -1

// Server answers DHCP on its links. Set the fields, call Listen, then Serve.
type Server struct {
	Ledger Ledger
	Links  []Link

	Mode      site.DHCPMode     // empty means what the plan says
	Port      int               // zero means 67
	ProxyPort int               // zero means 4011
	HTTPPort  int               // of the machine side, for URLs; zero means 80
	Probe     Probe             // nil means that pool addresses are not probed
	ProbeMany ProbeMany         // nil means that no address is probed before it is asked for
	Clock     func() time.Time  // nil means time.Now
	Log       *slog.Logger      // nil means silence
	Observe   func(Observation) // called for every message, from several goroutines; nil is allowed

	book      *Book
	scout     *scout
	watch     *watch
	conns     []*conn
	slots     chan struct{}  // bounds the messages that wait for a probe or a commit
	committed chan *exchange // to be finished; has room for all that wait
	workers   sync.WaitGroup
	packets   sync.Pool
	renewOnly atomic.Bool
	leaving   sync.RWMutex // held for reading while a reply leaves
	counts    counters
}

// maxWaiting is how many messages may wait for a probe or a commit at once.
// A client whose message finds no place asks again.
const maxWaiting = 1024

// Observation is one message and what was made of it. Request and Answer are
// valid during the call only.
type Observation struct {
	At       time.Time
	Link     string
	Request  *Request // nil when the message did not parse
	Answer   *Answer
	Raw      []byte // the message as it came
	Sent     []byte // the reply as it left; nil when none did
	From     netip.AddrPort
	Local    netip.AddrPort // where the reply leaves from
	Err      error          // the message did not parse, the ledger did not commit, or the reply did not leave
	Stranger bool           // the first sight of a machine that the plan does not name: worth an event
	Loop     bool           // the machine asked for its first-stage loader five times in two minutes; true once a minute
}

// Counts are the server's totals since Listen.
type Counts struct {
	Received    uint64 `json:"received"`
	Replied     uint64 `json:"replied"`
	Ignored     uint64 `json:"ignored"`      // on purpose
	Malformed   uint64 `json:"malformed"`    // did not parse
	Failed      uint64 `json:"failed"`       // not committed, or not sent
	Busy        uint64 `json:"busy"`         // found no place to wait
	KernelDrops uint64 `json:"kernel_drops"` // overflowed the socket
}

type counters struct {
	received, replied, ignored, malformed, failed, busy atomic.Uint64
}

// Listen opens every socket. It starts no goroutine.
func (s *Server) Listen(ctx context.Context) error {
	s.defaults()
	if len(s.Links) == 0 {
		return errors.New("DHCP has nowhere to listen: name an interface with --interface")
	}
	for _, l := range s.Links {
		if err := s.listen(ctx, l); err != nil {
			s.close()
			return err
		}
	}
	return nil
}

func (s *Server) defaults() {
	if s.Clock == nil {
		s.Clock = time.Now
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.HTTPPort == 0 {
		s.HTTPPort = 80
	}
	s.book, s.watch, s.scout = NewBook(), newWatch(), newScout(s)
	s.slots, s.committed = make(chan struct{}, maxWaiting), make(chan *exchange, maxWaiting)
	s.packets.New = func() any { return new(message) }
}

func (s *Server) listen(ctx context.Context, l Link) error {
	dhcp, err := open(ctx, l, portOf(s.Port, serverPort), s.HTTPPort)
	if err != nil {
		return err
	}
	s.conns = append(s.conns, dhcp)
	if err := dhcp.openRaw(); err != nil {
		s.Log.Warn("replies to machines without an address will be broadcast: give CAP_NET_RAW to send them to one machine", "interface", l.String(), "error", err)
	}
	boot, err := open(ctx, l, portOf(s.ProxyPort, bootPort), s.HTTPPort)
	if err != nil {
		return err
	}
	boot.bootServer = true
	s.conns = append(s.conns, boot)
	return nil
}

func portOf(configured, standard int) int {
	switch configured {
	case 0:
		return standard
	case AnyPort:
		return 0
	default:
		return configured
	}
}

// Addrs are the listening addresses: for each link that of DHCP, then that
// of the PXE boot server.
func (s *Server) Addrs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, c := range s.conns {
		all = append(all, netip.AddrPortFrom(c.ids[0].addr, c.port))
	}
	return all
}

// RenewOnly stops or resumes giving addresses that were not given before.
// What was promised is renewed all the same. Once RenewOnly has returned, no
// reply that was decided before is still to leave.
func (s *Server) RenewOnly(on bool) {
	s.leaving.Lock()
	defer s.leaving.Unlock()
	s.renewOnly.Store(on)
}

// Counts are the totals so far.
func (s *Server) Counts() Counts {
	c := Counts{
		Received: s.counts.received.Load(), Replied: s.counts.replied.Load(), Ignored: s.counts.ignored.Load(),
		Malformed: s.counts.malformed.Load(), Failed: s.counts.failed.Load(), Busy: s.counts.busy.Load(),
	}
	for _, conn := range s.conns {
		c.KernelDrops += uint64(conn.overflow.Load())
	}
	return c
}

// Serve answers until ctx ends, and returns when nothing of it runs any more
// and every socket is closed.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.Probe != nil && s.ProbeMany != nil {
		s.workers.Go(func() { s.scout.run(ctx) })
	}
	for range runtime.GOMAXPROCS(0) {
		s.workers.Go(func() { s.replyCommitted(ctx) })
	}
	errs := make(chan error, len(s.conns))
	for _, c := range s.conns {
		go func() { errs <- s.receive(ctx, c) }()
	}
	var failed error
	running := len(s.conns)
	select {
	case <-ctx.Done():
	case failed = <-errs:
		running--
	}
	cancel()
	s.close()
	for range running {
		failed = errors.Join(failed, <-errs)
	}
	s.workers.Wait()
	return failed
}

func (s *Server) close() {
	for _, c := range s.conns {
		c.close()
	}
}

// message is one datagram, its reading, and room for the reply.
type message struct {
	buf   [2048]byte
	n     int // bytes of buf
	req   Request
	x     exchange
	out   [maxDatagram]byte
	frame [maxDatagram + frameHeader]byte
}

// pause keeps a socket that fails again and again from spinning.
const pause = 100 * time.Millisecond

func (s *Server) receive(ctx context.Context, c *conn) error {
	oob := make([]byte, 128)
	m := s.packets.Get().(*message)
	for {
		n, from, to, err := c.read(m.buf[:], oob)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("receiving on %s: %w", c.link, err)
		case err != nil:
			// An interface that goes down reports it once, and is heard again
			// when it comes up.
			s.Log.Warn("receiving failed", "interface", c.link.String(), "error", err)
			if !sleep(ctx, pause) {
				return nil
			}
			continue
		}
		s.counts.received.Add(1)
		if s.handle(ctx, c, m, n, from, to) {
			m = s.packets.Get().(*message)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// handle reports whether it passed m on to a goroutine that now owns it.
func (s *Server) handle(ctx context.Context, c *conn, m *message, n int, from netip.AddrPort, to netip.Addr) bool {
	now := s.Clock()
	if err := m.req.Parse(m.buf[:n]); err != nil {
		s.counts.malformed.Add(1)
		if s.Observe != nil {
			s.Observe(Observation{At: now, Link: c.link.String(), From: from, Err: err})
		}
		return false
	}
	m.n, m.req.From, m.req.To, m.req.BootServer = n, from, to, c.bootServer
	e := &m.x
	*e = exchange{s: s, c: c, m: m, now: now}
	if e.decide(s.Ledger.State()); !e.mustWait() {
		e.finish(nil)
		return false
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.counts.busy.Add(1)
		return false
	}
	if e.answer.Probe.IsValid() {
		s.workers.Go(func() {
			e.settle(ctx)
			s.release(m)
		})
		return true
	}
	if !e.submit() {
		s.counts.busy.Add(1)
		<-s.slots
		return false
	}
	return true
}

func (s *Server) release(m *message) {
	s.packets.Put(m)
	<-s.slots
}

// replyCommitted finishes those whose events are on disk. A goroutine for each of
// them would cost a rack that gets its power back as much as all the rest.
func (s *Server) replyCommitted(ctx context.Context) {
	for {
		select {
		case e := <-s.committed:
			e.finish(e.failed)
			s.release(e.m)
		case <-ctx.Done():
			return
		}
	}
}
