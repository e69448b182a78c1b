package dhcp

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// exchange carries one message from its decision to its reply.
type exchange struct {
	s   *Server
	c   *conn
	m   *message
	now time.Time

	id        *identity
	state     *site.State
	answer    Answer
	renewOnly bool // as it was when the answer was decided
	sent      []byte
	failed    error // why it was not committed
}

func (e *exchange) decide(st *site.State) {
	s := e.s
	e.state, e.id, e.renewOnly = st, &e.c.ids[0], s.renewOnly.Load()
	if len(e.c.ids) > 1 {
		net, _ := st.Settings.ProvisionNetwork()
		e.id = e.c.id(net.Subnet)
	}
	e.answer = Decide(st, Config{
		ServerID: e.id.addr, HTTP: e.id.http, Mode: s.Mode,
		RenewOnly: e.renewOnly, Probe: s.Probe != nil, Book: s.book,
		ClientPort: clientPortFor(e.c.port, e.c.bootServer),
	}, &e.m.req, e.now)
}

// clientPortFor keeps the client's port beside the server's when an
// unprivileged server uses another one.
func clientPortFor(server uint16, bootServer bool) uint16 {
	if bootServer || server == serverPort {
		return clientPort
	}
	return server + 1
}

func (e *exchange) mustWait() bool {
	return e.answer.Probe.IsValid() || len(e.answer.Events) > 0
}

// maxRounds bounds how often one message may meet an address that turns out
// to be taken. Its client asks again.
const maxRounds = 4

// settle probes and commits what the answer asks for, then replies.
func (e *exchange) settle(ctx context.Context) {
	for range maxRounds {
		e.now = e.s.Clock()
		e.decide(e.s.Ledger.State())
		switch {
		case e.answer.Probe.IsValid():
			if err := e.probe(ctx); err != nil {
				e.finish(err)
				return
			}
		case len(e.answer.Events) > 0:
			e.finish(e.commit(ctx))
			return
		default:
			e.finish(nil)
			return
		}
	}
	e.finish(errTaken)
}

var errTaken = errors.New("every address that was tried turned out to be in use")

// probe asks the wire about one address and notes the result in the book. A
// pool address that is in use is put aside for everybody.
func (e *exchange) probe(ctx context.Context) error {
	a, q := e.answer.Probe, &e.m.req
	pool := e.answer.Hold.IsValid()
	if pool {
		e.s.scout.want(e.now)
	}
	if pool && !e.s.book.Hold(a, q.MAC, e.now) {
		return nil
	}
	net, _ := e.state.Settings.ProvisionNetwork()
	busy, by, err := e.s.Probe(ctx, e.c.link.Interface, a, !q.GIAddr.IsValid() || e.c.on(net.Subnet))
	if err != nil {
		// No answer can be had, so none may be waited for: the client's own
		// check (RFC 2131 section 4.4.1) remains.
		e.s.Log.Warn("conflict probe failed", "address", a, "error", err)
	}
	now := e.s.Clock()
	e.s.book.Probed(a, busy, by, now)
	if !busy || by == q.MAC || !pool {
		return nil
	}
	e.s.Log.Warn("a pool address is in use by a station that did not get it from here", "address", a, "by", by)
	_, err = e.s.Ledger.Do(ctx, func(st *site.State, now time.Time) ([]site.Body, error) {
		if until, ok := st.Declined.Get(a); ok && now.Before(until) {
			return nil, nil
		}
		return []site.Body{site.AddressDeclined{Addr: a, MAC: q.MAC, Until: now.Add(quarantine)}}, nil
	})
	return err
}

// commit decides again inside the single writer, and returns when the events
// are on disk. Only then may the reply leave.
func (e *exchange) commit(ctx context.Context) error {
	_, err := e.s.Ledger.Do(ctx, e.again)
	return err
}

// submit is commit for the goroutine that receives: the message goes to
// replyCommitted once its events are on disk. It reports false when too many wait.
func (e *exchange) submit() bool {
	return e.s.Ledger.Try(e.again, func(_ *site.State, err error) {
		e.failed = err
		e.s.committed <- e
	})
}

func (e *exchange) again(st *site.State, now time.Time) ([]site.Body, error) {
	e.now = now
	e.decide(st)
	return e.answer.Events, nil
}

// finish does what the answer says, unless something failed before.
func (e *exchange) finish(err error) {
	e.s.leaving.RLock()
	err = e.conclude(err)
	e.s.leaving.RUnlock()
	e.observe(err)
}

func (e *exchange) conclude(err error) error {
	s, a, q := e.s, &e.answer, &e.m.req
	if err == nil && a.Reply != nil && e.renewOnly != s.renewOnly.Load() {
		e.reconsider()
	}
	switch {
	case err != nil:
		a.Reply = nil
		s.counts.failed.Add(1)
		s.Log.Error("a DHCP request stays without an answer", "mac", q.MAC, "error", err)
	case a.Reply != nil && a.Hold.IsValid() && !s.book.Hold(a.Hold, q.MAC, e.now):
		// Somebody else was quicker; this client asks again.
		a.Reply, a.Why = nil, "the address was just offered to another client"
	}
	if a.Reply != nil && a.Reply.Type == TypeACK && a.Hold.IsValid() {
		s.book.Given(a.Hold)
	}
	if a.Drop {
		s.book.Drop(q.MAC)
	}
	if a.NewOwner {
		s.scout.want(e.now)
	}
	if !a.Exhausted.IsZero() {
		e.exhausted()
	}
	if a.Learned {
		s.book.Learn(q.MAC, a.Node)
	}
	if a.Reply != nil && a.Rung != "" && q.Type == TypeDiscover {
		s.book.Offered(q.MAC, a.Rung, e.now)
	}
	if q.IPXE {
		s.book.Came(q.MAC)
	}
	if a.Reply != nil {
		err = e.send()
	} else if err == nil {
		s.counts.ignored.Add(1)
	}
	return err
}

// exhausted says once a minute that a pool has nothing left, and why.
func (e *exchange) exhausted() {
	pool := e.answer.Exhausted
	if pool == e.state.Settings.Provision.Pool { // the book remembers no other
		e.s.book.SetExhausted(e.now)
	}
	if !e.s.watch.exhausted(pool, e.now) {
		return
	}
	leased, aside := 0, 0
	for a, l := range e.state.Leases.All() {
		if pool.Contains(a) && e.now.Before(l.Until) {
			leased++
		}
	}
	for a, until := range e.state.Declined.All() {
		if pool.Contains(a) && e.now.Before(until) {
			aside++
		}
	}
	e.s.Log.Warn("a pool has no free address: machines with an address in the plan are served, others are not; give it more addresses, or find out who takes them with `rackseed events`",
		"pool", pool.First.String()+"-"+pool.Last.String(), "addresses", pool.Size(), "leased", leased, "put_aside", aside, "mac", e.m.req.MAC)
}

// reconsider answers again, because another server spoke, or went away, after
// the answer was decided. What would have to be recorded first is left to the
// client's next question.
func (e *exchange) reconsider() {
	e.decide(e.s.Ledger.State())
	if e.mustWait() {
		e.answer.Reply, e.answer.Hold, e.answer.Why = nil, netip.Addr{}, "another DHCP server was seen meanwhile"
	}
}

func (e *exchange) send() error {
	a := &e.answer
	msg := a.Reply.Append(e.m.out[:0])
	err := e.c.send(e.id, a.Via, a.To, e.m.req.MAC, msg, e.m.frame[:0])
	if err != nil {
		e.s.counts.failed.Add(1)
		e.s.Log.Warn("a DHCP reply did not leave", "mac", e.m.req.MAC, "error", err)
		return err
	}
	e.sent = msg
	e.s.counts.replied.Add(1)
	return nil
}

func (e *exchange) observe(err error) {
	s, a, q := e.s, &e.answer, &e.m.req
	loop, news := false, false
	if a.FirstStage && a.Reply != nil && q.Type == TypeDiscover {
		loop, news = s.watch.looping(q.MAC, q.XID, e.now)
	}
	if loop {
		a.BootWhy += "; it asked for its loader five times in two minutes, so the loader does not get further: see its console"
	}
	if s.Observe == nil {
		return
	}
	o := Observation{
		At: e.now, Link: e.c.link.String(), Request: q, Answer: a, Raw: e.m.buf[:e.m.n], Sent: e.sent,
		From: q.From, Local: netip.AddrPortFrom(e.id.addr, e.c.port), Err: err, Loop: news,
	}
	if a.Node == "" {
		if _, known := e.state.Strangers.Get(q.MAC); !known {
			o.Stranger = s.watch.first(q.MAC, e.now)
		}
	}
	s.Observe(o)
}
