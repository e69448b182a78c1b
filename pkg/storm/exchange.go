package storm

import (
	"time"
)

// never is the time of an event that is not scheduled.
const never = time.Duration(1<<63 - 1)

// phase is how far one client is in its exchange.
type phase uint8

const (
	idle phase = iota
	selecting
	requesting
)

// exchangeClient is one simulated machine. Times count from the start of the run.
type exchangeClient struct {
	xid      uint32
	phase    phase
	tries    uint8
	naks     uint8
	intended time.Duration // when it should have begun, which is when its wait begins
	offer    reply
}

// exchanger drives DISCOVER-OFFER-REQUEST-ACK for many clients. It opens no
// socket and reads no clock: packets and times come in, packets go out.
type exchanger struct {
	clients  []exchangeClient
	mac      MAC
	discover template
	request  template
	timeout  time.Duration
	maxTries uint8
	total    int           // exchanges to run
	inFlight int           // closed loop: at most so many at once
	interval time.Duration // open loop: one start each, whatever the server does; 0 = closed loop
	bound    func(client int, yiaddr [4]byte)
	failed   func(client int)

	started, active int
	free            []uint32 // ring of idle clients: each gets its turn
	freeHead        int
	freeLen         int
	timers          [][]pending // by number of tries: equal waits, so each is in order
	owners          map[[4]byte]uint32
	out             outbox
	stats           DHCPPhase
	latency         Histogram
	last            time.Duration // of the latest exchange that ended
	fullUntil       time.Duration // when the last exchange began: from then on the load wanes
	finishedFull    int           // exchanges finished by then
}

// pending is a retransmission that is due unless the client has moved on.
type pending struct {
	at     time.Duration
	client uint32
	xid    uint32
	phase  phase
}

// outbox holds the packets of one batch.
type outbox struct {
	buf [][]byte // fixed buffers
	len []int
	n   int
}

const (
	batch     = 64
	maxPacket = 576
)

func newOutbox() outbox {
	o := outbox{buf: make([][]byte, batch), len: make([]int, batch)}
	for i := range o.buf {
		o.buf[i] = make([]byte, maxPacket)
	}
	return o
}

func (o *outbox) full() bool { return o.n == len(o.buf) }

func newExchanger(c DHCPConfig, discover, request template, total int, xidBase uint32) *exchanger {
	x := &exchanger{
		clients:  make([]exchangeClient, c.Clients),
		mac:      *c.MAC,
		discover: discover, request: request,
		timeout: c.Timeout, maxTries: uint8(c.Tries),
		total: total, inFlight: min(c.InFlight, c.Clients),
		free: make([]uint32, c.Clients), freeLen: c.Clients,
		timers: make([][]pending, c.Tries),
		owners: make(map[[4]byte]uint32, c.Clients),
		out:    newOutbox(),
	}
	if c.Rate > 0 {
		x.interval = max(time.Duration(float64(time.Second)/c.Rate), 1)
	}
	for i := range x.free {
		x.free[i] = uint32(i)
		x.clients[i].xid = xidBase&^clientMask | uint32(i)
	}
	return x
}

// The low bits of a transaction id name the client, the high ones count its
// exchanges, so that a late answer to an earlier exchange is recognised.
const (
	clientBits = 20
	clientMask = 1<<clientBits - 1
)

func (x *exchanger) done() bool { return x.stats.Finished+x.stats.Failed >= x.total }

// tick starts and retransmits what is due, as far as the outbox has room.
func (x *exchanger) tick(now time.Duration) {
	for tries := range x.timers {
		q := x.timers[tries]
		for len(q) > 0 && !x.out.full() && (q[0].at <= now || x.stale(q[0])) {
			if p := q[0]; !x.stale(p) {
				x.expire(p.client, now)
			}
			q = q[1:]
		}
		x.timers[tries] = q
	}
	for x.started < x.total && x.freeLen > 0 && !x.out.full() {
		at := now
		if x.interval > 0 {
			if at = time.Duration(x.started) * x.interval; at > now {
				break
			}
		} else if x.active >= x.inFlight {
			break
		}
		x.begin(at, now)
	}
}

func (x *exchanger) stale(p pending) bool {
	c := &x.clients[p.client]
	return c.xid != p.xid || c.phase != p.phase
}

// next is when tick has something to do again.
func (x *exchanger) next() time.Duration {
	at := never
	for _, q := range x.timers {
		if len(q) > 0 {
			at = min(at, q[0].at)
		}
	}
	if x.started < x.total && x.freeLen > 0 {
		if x.interval > 0 {
			at = min(at, time.Duration(x.started)*x.interval)
		} else if x.active < x.inFlight {
			at = 0
		}
	}
	return at
}

// rate is the exchanges per second that finished under full load. The end of a
// run is left out: a few machines that wait out a lost packet say how long a
// machine can wait, which the latency reports, but not how fast the server is.
func (x *exchanger) rate(elapsed time.Duration) float64 {
	if 4*x.finishedFull >= x.total && x.fullUntil > 0 {
		return float64(x.finishedFull) / x.fullUntil.Seconds()
	}
	if elapsed == 0 {
		return 0
	}
	return float64(x.stats.Finished) / elapsed.Seconds()
}

func (x *exchanger) begin(intended, now time.Duration) {
	i := x.free[x.freeHead]
	x.freeHead = (x.freeHead + 1) % len(x.free)
	x.freeLen--
	x.started++
	x.active++
	if x.started == x.total {
		x.fullUntil, x.finishedFull = now, x.stats.Finished
	}
	c := &x.clients[i]
	c.xid += 1 << clientBits
	c.intended = intended
	c.phase, c.tries, c.naks = selecting, 0, 0
	x.send(i, now)
}

// send puts the client's current message into the outbox and arms its timer.
func (x *exchanger) send(i uint32, now time.Duration) {
	c := &x.clients[i]
	buf := x.out.buf[x.out.n]
	secs := uint16((now - c.intended) / time.Second)
	t := &x.discover
	if c.phase == requesting {
		t = &x.request
	}
	x.out.len[x.out.n] = t.fill(buf, c.xid, x.mac.Add(int(i)), secs)
	if c.phase == requesting {
		copy(buf[t.offOffered:], c.offer.yiaddr[:])
		copy(buf[t.offServerID:], c.offer.serverID[:])
	}
	x.out.n++
	x.stats.Sent++
	wait := x.timeout << c.tries
	x.timers[c.tries] = append(x.timers[c.tries], pending{now + wait, i, c.xid, c.phase})
}

func (x *exchanger) expire(i uint32, now time.Duration) {
	c := &x.clients[i]
	if c.tries++; c.tries >= x.maxTries {
		x.fail(i, now)
		return
	}
	x.stats.Retransmitted++
	x.send(i, now)
}

func (x *exchanger) fail(i uint32, now time.Duration) {
	x.stats.Failed++
	x.release(i, now)
	if x.failed != nil {
		x.failed(int(i))
	}
}

func (x *exchanger) release(i uint32, now time.Duration) {
	x.clients[i].phase = idle
	x.free[(x.freeHead+x.freeLen)%len(x.free)] = i
	x.freeLen++
	x.active--
	x.last = now
}

// receive takes one datagram. The outbox must have room for one packet.
func (x *exchanger) receive(now time.Duration, b []byte) {
	r, ok := parseReply(b)
	i := r.xid & clientMask
	if !ok || int(i) >= len(x.clients) {
		x.stats.Strays++
		return
	}
	x.stats.Received++
	c := &x.clients[i]
	switch {
	case c.xid != r.xid || c.phase == idle || r.mac != x.mac.Add(int(i)):
		x.stats.Strays++
	case r.kind == msgOffer && c.phase == selecting:
		c.offer = r
		c.phase, c.tries = requesting, 0
		x.send(i, now)
	case r.kind == msgACK && c.phase == requesting:
		x.finish(i, r.yiaddr, now)
	case r.kind == msgNAK && c.phase == requesting:
		x.refused(i, now)
	default:
		x.stats.Strays++ // a second offer, or the answer to a retransmission
	}
}

// refused starts over, as RFC 2131 section 3.1 has it, but not for ever.
func (x *exchanger) refused(i uint32, now time.Duration) {
	x.stats.NAKs++
	c := &x.clients[i]
	if c.naks++; c.naks >= x.maxTries {
		x.fail(i, now)
		return
	}
	c.phase, c.tries = selecting, 0
	x.send(i, now)
}

func (x *exchanger) finish(i uint32, ip [4]byte, now time.Duration) {
	if owner, taken := x.owners[ip]; taken && owner != i {
		x.stats.Conflicts++
	}
	x.owners[ip] = i
	x.latency.Record(now - x.clients[i].intended)
	x.stats.Finished++
	x.release(i, now)
	if x.bound != nil {
		x.bound(int(i), ip)
	}
}
