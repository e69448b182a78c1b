package tftp

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
)

// desk admits transfers: one per client address and port, a bounded number per
// client and in all. When it is full, the oldest transfer whose client never
// answered makes room, so that forged requests cannot keep a real machine out.
type desk struct {
	max, maxPerClient int

	mu        sync.Mutex
	seats     map[netip.AddrPort]*seat
	perClient map[netip.Addr]int
	halfOpen  list.List // of *seat, oldest first
}

type seat struct {
	client  netip.AddrPort
	evicted atomic.Bool
	waiting *list.Element // in halfOpen; guarded by desk.mu
}

type admission int

const (
	admitted admission = iota
	duplicate
	clientFull
	full
)

func newDesk(maxTransfers, maxPerClient int) *desk {
	return &desk{
		max: maxTransfers, maxPerClient: maxPerClient,
		seats: make(map[netip.AddrPort]*seat), perClient: make(map[netip.Addr]int),
	}
}

func (d *desk) admit(client netip.AddrPort) (*seat, admission) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seats[client] != nil {
		return nil, duplicate
	}
	if d.perClient[client.Addr()] >= d.maxPerClient {
		return nil, clientFull
	}
	if len(d.seats) >= d.max {
		oldest := d.halfOpen.Front()
		if oldest == nil {
			return nil, full
		}
		s := oldest.Value.(*seat)
		s.evicted.Store(true)
		d.remove(s)
	}
	s := &seat{client: client}
	s.waiting = d.halfOpen.PushBack(s)
	d.seats[client] = s
	d.perClient[client.Addr()]++
	return s, admitted
}

// confirm makes a seat safe from eviction: its client answers.
func (d *desk) confirm(s *seat) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle(s)
}

// leave frees the seat.
func (d *desk) leave(s *seat) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remove(s)
}

func (d *desk) settle(s *seat) {
	if s.waiting != nil {
		d.halfOpen.Remove(s.waiting)
		s.waiting = nil
	}
}

// remove tolerates a seat that was evicted and whose place another one has taken.
func (d *desk) remove(s *seat) {
	d.settle(s)
	if d.seats[s.client] != s {
		return
	}
	delete(d.seats, s.client)
	addr := s.client.Addr()
	if d.perClient[addr]--; d.perClient[addr] <= 0 {
		delete(d.perClient, addr)
	}
}
