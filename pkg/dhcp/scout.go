package dhcp

import (
	"context"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	// scoutWindow is how many silent addresses are kept ready for new owners:
	// two racks that get their power back at one moment.
	scoutWindow = 1024
	// scoutMargin is how much of a result's life must be left for an offer, so
	// that its REQUEST need not be probed for again.
	scoutMargin = 10 * time.Second
	// scoutRenew is when a result is renewed, while it can still be offered.
	scoutRenew = scoutMargin + 5*time.Second
	// scoutDemand is how long after the last new client the window is kept. An
	// idle site is quiet.
	scoutDemand = 2 * time.Minute
	// scoutWalk bounds the search of one round in a pool that is nearly full.
	scoutWalk = 1 << 16
	// scoutPause is how often the window is looked after while there is demand,
	// and scoutHaste how often at most.
	scoutPause = 2 * time.Second
	scoutHaste = 50 * time.Millisecond
)

// ProbeMany is Probe for many addresses, in the time of one. It gives those in
// use, by whom.
type ProbeMany func(ctx context.Context, iface string, addrs []netip.Addr, onLink bool) (inUse map[netip.Addr]site.MAC, err error)

// scout probes pool addresses before anybody asks for them, so that a new
// client need not wait half a second for its offer.
type scout struct {
	server *Server
	wanted atomic.Int64  // when a new client last asked, in Unix nanoseconds
	wake   chan struct{} // somebody asked

	// The rest belongs to run.
	cursor  int                     // where in the pool the next window begins
	pending map[netip.Addr]struct{} // under way
	done    chan []netip.Addr       // no longer under way
}

func newScout(s *Server) *scout {
	return &scout{server: s, wake: make(chan struct{}, 1), pending: map[netip.Addr]struct{}{}, done: make(chan []netip.Addr)}
}

// want notes that the pool is in demand.
func (c *scout) want(now time.Time) {
	c.wanted.Store(now.UnixNano())
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run keeps the window until ctx ends. A round does not wait for the one
// before, so that a whole site that comes at once is limited by the window,
// not by half a second per look.
func (c *scout) run(ctx context.Context) {
	var looks sync.WaitGroup
	defer looks.Wait()
	c.want(c.server.Clock())
	for ctx.Err() == nil {
		var pause time.Duration
		now, st := c.server.Clock(), c.server.Ledger.State()
		if c.needed(st, now) {
			pause = scoutPause
			if addrs := c.next(st, now); len(addrs) > 0 {
				looks.Go(func() { c.look(ctx, addrs, now) })
			}
		}
		if c.rest(ctx, pause) {
			sleep(ctx, scoutHaste)
		}
	}
}

// rest waits for a client, or for the time to look after the window. It
// reports whether there may be something to do at once.
func (c *scout) rest(ctx context.Context, pause time.Duration) bool {
	var end <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		end = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case addrs := <-c.done:
			for _, a := range addrs {
				delete(c.pending, a)
			}
		case <-c.wake:
			return true
		case <-end:
			return false
		}
	}
}

// needed reports whether new clients are served from a pool, and were of late.
func (c *scout) needed(st *site.State, now time.Time) bool {
	mode := c.server.Mode
	if mode == "" {
		mode = st.Settings.Provision.DHCP
	}
	return mode == site.DHCPServer && !st.Settings.Provision.Pool.IsZero() && !c.server.renewOnly.Load() &&
		now.Sub(time.Unix(0, c.wanted.Load())) < scoutDemand
}

// next lists what to probe: what is ready but grows old, then free addresses
// until the window is full.
func (c *scout) next(st *site.State, now time.Time) []netip.Addr {
	d := c.nobody(st, now)
	old, ready := c.server.book.aging(now)
	ready += len(c.pending)
	var addrs []netip.Addr
	ask := func(a netip.Addr) {
		if _, asked := c.pending[a]; !asked {
			c.pending[a] = struct{}{}
			addrs = append(addrs, a)
		}
	}
	for _, a := range old {
		if d.free(a) {
			ask(a)
		} else {
			c.server.book.unready(a)
			ready--
		}
	}
	pool := st.Settings.Provision.Pool
	size := pool.Size()
	for range min(size, scoutWalk) {
		if ready >= scoutWindow {
			break
		}
		a, ok := pool.At(c.cursor % size)
		c.cursor = (c.cursor + 1) % size
		if _, known := c.server.book.probed(a, now); ok && !known && d.free(a) {
			ask(a)
			ready++
		}
	}
	return addrs
}

// nobody decides for a client that has nothing and wishes for nothing.
func (c *scout) nobody(st *site.State, now time.Time) *decision {
	d := &decision{s: st, cfg: &Config{Book: c.server.book}, req: &Request{}, now: now}
	d.net, _ = st.Settings.ProvisionNetwork()
	d.pool = st.Settings.Provision.Pool
	d.cfg.ServerID = c.server.conns[0].id(d.net.Subnet).addr
	return d
}

// look probes and notes what it found. An address that got an owner meanwhile
// is left alone: its owner may have answered.
func (c *scout) look(ctx context.Context, addrs []netip.Addr, now time.Time) {
	defer func() {
		select {
		case c.done <- addrs:
		case <-ctx.Done():
		}
	}()
	s := c.server
	inUse, err := c.probe(ctx, addrs)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.Log.Warn("pool addresses could not be probed ahead: each new client waits for its own probe", "error", err)
		sleep(ctx, scoutPause)
		return
	}
	st := s.Ledger.State()
	d := c.nobody(st, s.Clock())
	for _, a := range addrs {
		by, busy := inUse[a]
		if !d.free(a) {
			s.book.unready(a)
			continue
		}
		if s.book.scouted(a, busy, by, now) && !leasedBy(st, a, by) {
			s.Log.Warn("a pool address is in use by a station that did not get it from here", "address", a, "by", by)
		}
	}
}

func leasedBy(st *site.State, a netip.Addr, m site.MAC) bool {
	l, ok := st.Leases.Get(a)
	return ok && l.MAC == m
}

// probe asks on every link that is on the provisioning network, and beyond the
// relays when none is.
func (c *scout) probe(ctx context.Context, addrs []netip.Addr) (map[netip.Addr]site.MAC, error) {
	s := c.server
	net, _ := s.Ledger.State().Settings.ProvisionNetwork()
	all, asked := map[netip.Addr]site.MAC{}, false
	for _, conn := range s.conns {
		if conn.bootServer || !conn.on(net.Subnet) {
			continue
		}
		asked = true
		inUse, err := s.ProbeMany(ctx, conn.link.Interface, addrs, true)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, inUse)
	}
	if asked {
		return all, nil
	}
	return s.ProbeMany(ctx, s.conns[0].link.Interface, addrs, false)
}
