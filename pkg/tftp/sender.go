package tftp

import "time"

const (
	// probeTries bounds the packets sent to an address that never answered: it may
	// be the victim of a forged request.
	probeTries = 6
	// minTries is the least number of sends before a client that did answer is
	// given up.
	minTries = 8
)

// burst is what a sender wants on the wire: the OACK, or the blocks from to last.
type burst struct {
	oack     bool
	from, to uint64 // to is exclusive
}

func (b burst) empty() bool { return !b.oack && b.from == b.to }

// sender decides what one transfer sends and when. It does no I/O and reads no
// clock. Lockstep is a window of one.
//
// A duplicate ACK never causes a packet, in any mode: answering it is the
// Sorcerer's Apprentice bug (RFC 1123 4.2.3.1), and in window mode it multiplies
// by the window. Whatever is lost is sent again by the timer, once per timeout,
// or by the first ACK that stops short of the window's end (RFC 7440).
type sender struct {
	terms
	size     int64
	patience time.Duration

	opening  bool   // the OACK is not yet acknowledged
	answered bool   // the client has acknowledged something
	base     uint64 // lowest block not yet acknowledged, from 1
	next     uint64 // lowest block not in flight
	last     uint64 // number of the final, short block

	rto      rto
	clean    bool // everything in flight was sent once
	sentAt   time.Time
	heardAt  time.Time // last progress
	deadline time.Time
	tries    int
	resent   int
}

func newSender(t terms, size int64, patience time.Duration) *sender {
	return &sender{
		terms:    t,
		size:     size,
		patience: patience,
		opening:  t.oack != nil,
		base:     1,
		next:     1,
		last:     uint64(size)/uint64(t.blksize) + 1,
		rto:      newRTO(t.timeout),
	}
}

// start returns the first packet: one, whatever the window, until the client has
// shown that it is there.
func (s *sender) start(now time.Time) burst {
	s.heardAt = now
	s.tries = 1
	s.clean = true
	s.arm(now)
	if s.opening {
		return burst{oack: true}
	}
	s.next = 2
	return burst{from: 1, to: 2}
}

// acknowledge takes in an ACK. It returns what to send, and whether the transfer
// is complete.
func (s *sender) acknowledge(block uint16, now time.Time) (b burst, done bool) {
	if s.opening {
		if block != 0 {
			return burst{}, false
		}
		s.opening = false
		s.measure(now)
		return s.advance(now), false
	}
	ahead := uint64(block - uint16(s.base-1)) // wraps as block numbers do
	if ahead == 0 || ahead > s.next-s.base {
		return burst{}, false
	}
	s.base += ahead
	if s.base > s.last {
		return burst{}, true
	}
	if s.base == s.next {
		s.measure(now)
		return s.advance(now), false
	}
	if !s.clean {
		return s.slide(now), false
	}
	again := s.next - s.base
	s.resent += int(again)
	b = s.advance(now)
	s.clean = false
	return b, false
}

// slide fills the window up without repeating anything. After a repetition the
// client also acknowledges blocks that it had before; to take such an ACK for a
// gap would repeat a window for ever.
func (s *sender) slide(now time.Time) burst {
	from := s.next
	s.next = max(s.next, min(s.base+uint64(s.window), s.last+1))
	s.progress(now)
	return burst{from: from, to: s.next}
}

// expire is called when the deadline has passed. It returns what to send again, or
// true when it is time to give up.
func (s *sender) expire(now time.Time) (b burst, giveUp bool) {
	if !s.answered && s.tries >= probeTries {
		return burst{}, true
	}
	if s.tries >= minTries && now.Sub(s.heardAt) >= s.patience {
		return burst{}, true
	}
	s.tries++
	s.rto.backOff()
	s.clean = false
	s.arm(now)
	if s.opening {
		s.resent++
		return burst{oack: true}, false
	}
	s.resent += int(s.next - s.base)
	return burst{from: s.base, to: s.next}, false
}

// advance opens the next window at base.
func (s *sender) advance(now time.Time) burst {
	s.clean = true
	s.next = min(s.base+uint64(s.window), s.last+1)
	s.progress(now)
	return burst{from: s.base, to: s.next}
}

func (s *sender) progress(now time.Time) {
	s.answered = true
	s.heardAt = now
	s.tries = 1
	s.arm(now)
}

func (s *sender) measure(now time.Time) {
	if s.clean {
		s.rto.sample(now.Sub(s.sentAt))
	}
}

func (s *sender) arm(now time.Time) {
	s.sentAt = now
	s.deadline = now.Add(s.rto.wait)
}

// acked is the number of bytes that the client has for certain.
func (s *sender) acked() int64 { return min(int64(s.base-1)*int64(s.blksize), s.size) }

// finishing says that the final block is on its way.
func (s *sender) finishing() bool { return !s.opening && s.next > s.last }

// length is the number of data bytes in a block.
func (s *sender) length(block uint64) int {
	if block < s.last {
		return s.blksize
	}
	return int(s.size - int64(s.last-1)*int64(s.blksize))
}
