package tftp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestOnePacketUntilTheClientAnswers(t *testing.T) {
	for _, c := range []terms{
		{blksize: 512, window: 1},
		{blksize: 1468, window: 64, oack: []byte{0, opOACK}},
	} {
		s := newSender(c, 1<<20, time.Hour)
		packets, now := 0, epoch
		count := func(b burst) {
			packets++
			if !b.oack && b.to != b.from+1 {
				t.Errorf("a burst of %d blocks before any answer", b.to-b.from)
			}
		}
		count(s.start(now))
		for {
			now = s.deadline
			b, giveUp := s.expire(now)
			if giveUp {
				break
			}
			count(b)
		}
		if packets != probeTries {
			t.Errorf("%d packets to a client that never answered, want %d", packets, probeTries)
		}
	}
}

func TestDuplicateAcknowledgementsCauseNothing(t *testing.T) {
	for _, window := range []int{1, 4, 64} {
		s := newSender(terms{blksize: 512, window: window, oack: []byte{0, opOACK}}, 1<<20, time.Hour)
		s.start(epoch)
		if b, _ := s.acknowledge(0, epoch); b.to-b.from != uint64(window) {
			t.Fatalf("first window has %d blocks", b.to-b.from)
		}
		for ack := uint16(0); ack < uint16(4*window); ack += uint16(window) {
			for range 100 {
				if b, done := s.acknowledge(ack, epoch); !b.empty() || done {
					t.Fatalf("window %d: duplicate ACK %d caused %+v", window, ack, b)
				}
			}
			if b, _ := s.acknowledge(ack+uint16(window), epoch); b.empty() {
				t.Fatalf("window %d: ACK %d caused nothing", window, ack+uint16(window))
			}
		}
	}
}

func TestWindowIsResentFromTheGap(t *testing.T) {
	s := newSender(terms{blksize: 512, window: 8, oack: []byte{0, opOACK}}, 1<<20, time.Hour)
	s.start(epoch)
	s.acknowledge(0, epoch)
	b, _ := s.acknowledge(3, epoch)
	if b != (burst{from: 4, to: 12}) {
		t.Errorf("after a gap at 4: %+v", b)
	}
	if b, _ := s.acknowledge(500, epoch); !b.empty() {
		t.Errorf("an ACK of what was never sent caused %+v", b)
	}
}

func TestTimerAdaptsAndBacksOff(t *testing.T) {
	r := newRTO(0)
	if r.wait != firstRTO {
		t.Fatalf("starts at %v", r.wait)
	}
	for range 20 {
		r.sample(500 * time.Microsecond)
	}
	if r.wait != minRTO {
		t.Errorf("on a LAN it waits %v", r.wait)
	}
	for range 20 {
		r.backOff()
	}
	if r.wait != maxRTO {
		t.Errorf("backs off to %v", r.wait)
	}
	r.sample(300 * time.Millisecond)
	if r.wait < 300*time.Millisecond {
		t.Errorf("waits %v for a round trip of 300ms", r.wait)
	}
	if r := newRTO(time.Second); func() time.Duration { r.wait = time.Hour; r.backOff(); return r.wait }() != time.Second {
		t.Error("the timeout option is not the ceiling")
	}
}

func TestPatienceOutlastsASlowClient(t *testing.T) {
	s := newSender(terms{blksize: 512, window: 1}, 4096, 15*time.Second)
	now := epoch
	s.start(now)
	s.acknowledge(1, now)
	for block := uint16(2); ; block++ {
		for ack := now.Add(4900 * time.Millisecond); now.Before(ack); {
			if now = s.deadline; now.Before(ack) {
				if _, giveUp := s.expire(now); giveUp {
					t.Fatalf("gave up on block %d", block)
				}
			}
		}
		if _, done := s.acknowledge(block, now); done {
			return
		}
	}
}

// Whatever is lost, doubled or late, the client ends with every block in order,
// and the sender does not send more than the losses explain.
func TestAnyLossEndsWell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.IntRange(1, maxWindow).Draw(t, "window")
		size := rapid.Int64Range(0, 600_000).Draw(t, "size")
		loss := rapid.IntRange(0, 30).Draw(t, "loss")
		tm := terms{blksize: 8, window: window}
		if rapid.Bool().Draw(t, "oack") {
			tm.oack = []byte{0, opOACK}
		} else {
			tm.window, window = 1, 1
		}
		seed := rapid.Uint64().Draw(t, "seed")
		dice := func() bool {
			seed = seed*6364136223846793005 + 1442695040888963407
			return int(seed>>33%100) < loss
		}
		s := newSender(tm, size, 24*time.Hour)
		got, since, sent, lost, open := uint64(0), 0, 0, 0, tm.oack != nil
		now := epoch
		b := s.start(now)
		for {
			// The client's side: one ACK for the burst at most, or one per gap.
			ack, answer := uint16(0), false
			if b.oack {
				sent++
				if dice() {
					lost++
				} else {
					ack, answer, open = 0, true, false
				}
			}
			for block := b.from; block < b.to; block++ {
				sent++
				switch {
				case dice():
					lost++
				case uint16(block) == uint16(got+1):
					got++
					if since++; since >= window || got == s.last {
						since, ack, answer = 0, uint16(got), true
					}
				default:
					since, ack, answer = 0, uint16(got), true
				}
			}
			if answer && dice() {
				answer = false
				lost++
			}
			if answer && !open {
				now = now.Add(time.Millisecond)
				next, done := s.acknowledge(ack, now)
				if done {
					break
				}
				if b = next; !b.empty() {
					continue
				}
			}
			now = s.deadline
			var giveUp bool
			if b, giveUp = s.expire(now); giveUp {
				if s.answered {
					t.Fatalf("gave up at block %d of %d", s.base, s.last)
				}
				return
			}
		}
		if got != s.last || s.acked() != size {
			t.Fatalf("client has %d of %d blocks, server counts %d of %d bytes", got, s.last, s.acked(), size)
		}
		if limit := int(s.last) + 1 + (lost+1)*2*window; sent > limit {
			t.Fatalf("%d packets for %d blocks and %d losses", sent, s.last, lost)
		}
	})
}
