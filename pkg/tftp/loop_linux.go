package tftp

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/internal/sockets"
)

const (
	// tick is how often deadlines are looked at. Scanning a thousand sessions takes
	// microseconds; a heap would be touched with every ACK.
	tick = 10 * time.Millisecond
	// maxSegments and maxSegmented bound one segmented write (UDP_MAX_SEGMENTS, and
	// the largest UDP payload with room for headers).
	maxSegments  = 64
	maxSegmented = 65000
)

var (
	errGone    = errors.New("client is gone")
	errContent = errors.New("reading the file failed")
)

// session is one transfer and its socket.
type session struct {
	*sender
	fd        int
	file      File
	seat      *seat
	confirmed bool
	segmented bool
	account   Transfer
	started   time.Time
	local     netip.AddrPort
	shown     int // packets given to the tap
}

// loop runs many sessions in one goroutine. A block costs two system calls, the
// read of an ACK and the write of the next window, which is what lets a storm of
// lockstep clients keep up with a server written in C.
type loop struct {
	now    func() time.Time
	desk   *desk
	report func(Transfer)
	tap    func(Packet) // nil when nobody looks

	set *sockets.Set

	mu    sync.Mutex
	inbox []*session

	stopping atomic.Bool
	stopAt   time.Time // set before stopping

	sessions map[int]*session // by socket
	scanned  time.Time
	ready    []int
	out      []byte
	in       [defaultBlksize + 4]byte
}

func newLoop(now func() time.Time, d *desk, report func(Transfer)) (*loop, error) {
	set, err := sockets.Open(sockets.Level)
	if err != nil {
		return nil, err
	}
	return &loop{
		now: now, desk: d, report: report, set: set,
		sessions: make(map[int]*session), out: make([]byte, 1<<16),
	}, nil
}

// close frees what the loop holds. It must not be running.
func (l *loop) close() {
	for fd := range l.sessions {
		unix.Close(fd)
	}
	l.set.Close()
}

// add hands a session to the loop, which owns it from then on.
func (l *loop) add(s *session) {
	l.mu.Lock()
	l.inbox = append(l.inbox, s)
	l.mu.Unlock()
	l.set.Ring()
}

// stop lets the loop end when its sessions have, or at the given time.
func (l *loop) stop(at time.Time) {
	l.stopAt = at
	l.stopping.Store(true)
	l.set.Ring()
}

// run serves until stop. The caller waits for it, then calls close.
func (l *loop) run() error {
	for {
		wait := time.Duration(-1)
		if len(l.sessions) > 0 {
			wait = tick
		}
		ready, rung, err := l.set.Wait(wait, l.ready[:0])
		if err != nil {
			return fmt.Errorf("waiting for TFTP clients: %w", err)
		}
		l.ready = ready
		now := l.now()
		if rung {
			l.adopt(now)
		}
		for _, fd := range ready {
			if s := l.sessions[fd]; s != nil {
				l.receive(s, now)
			}
		}
		if now.Sub(l.scanned) >= tick || l.stopping.Load() {
			l.scanned = now
			l.scan(now)
		}
		if l.stopping.Load() && len(l.sessions) == 0 && l.idle() {
			return nil
		}
	}
}

func (l *loop) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inbox) == 0
}

func (l *loop) adopt(now time.Time) {
	l.mu.Lock()
	arrived := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, s := range arrived {
		l.sessions[s.fd] = s
		if err := l.set.Add(s.fd); err != nil {
			l.finish(s, Aborted, err.Error(), now)
			continue
		}
		l.send(s, s.start(now), now)
	}
}

// receive takes one packet.
func (l *loop) receive(s *session, now time.Time) {
	n, err := sockets.Read(s.fd, l.in[:])
	if errors.Is(err, unix.ECONNREFUSED) {
		l.gone(s, now)
		return
	}
	if err != nil {
		// Nothing there, or a network that is away for a moment: the timer decides.
		return
	}
	op, number, ok := parseReply(l.in[:n])
	if !ok {
		return
	}
	l.show(s, l.in[:n], false, op == opERROR || s.finishing())
	if op == opERROR {
		l.rejected(s, number, errorText(l.in[:n]), now)
		return
	}
	b, done := s.acknowledge(number, now)
	if done {
		l.finish(s, Done, "", now)
		return
	}
	if s.answered && !s.confirmed {
		s.confirmed = true
		l.desk.confirm(s.seat)
	}
	l.send(s, b, now)
}

func (l *loop) rejected(s *session, code uint16, text string, now time.Time) {
	why := fmt.Sprintf("client sent error %d %q", code, text)
	if s.opening || s.tsize && s.acked() == 0 {
		l.finish(s, SizeProbe, why, now)
		return
	}
	l.finish(s, Aborted, why, now)
}

// gone handles a closed port. A client that has the last block and lost only its
// ACK on the way looks just so.
func (l *loop) gone(s *session, now time.Time) {
	if s.finishing() && s.tries > 1 {
		l.finish(s, Done, "client closed its port after the last block", now)
		return
	}
	l.finish(s, Aborted, "client closed its port", now)
}

// scan looks after deadlines, evictions and the end of the server.
func (l *loop) scan(now time.Time) {
	stop := l.stopping.Load() && !now.Before(l.stopAt)
	for _, s := range l.sessions {
		switch {
		case s.seat.evicted.Load():
			l.finish(s, TimedOut, "made room: the client had not answered", now)
		case stop:
			_, _ = unix.Write(s.fd, errorPacket(codeUndefined, "server is stopping"))
			l.finish(s, Aborted, "server is stopping", now)
		case !now.Before(s.deadline):
			b, giveUp := s.expire(now)
			if giveUp {
				l.finish(s, TimedOut, s.silence(), now)
				continue
			}
			l.send(s, b, now)
		}
	}
}

func (s *session) silence() string {
	if s.finishing() {
		return "client never acknowledged the last block"
	}
	return fmt.Sprintf("no answer to %d packets", s.tries)
}

func (l *loop) finish(s *session, o Outcome, why string, now time.Time) {
	delete(l.sessions, s.fd)
	unix.Close(s.fd)
	l.desk.leave(s.seat)
	s.account.Bytes = s.acked()
	s.account.Resent = s.resent
	s.account.Took = now.Sub(s.started)
	s.account.Outcome, s.account.Why = o, why
	l.report(s.account)
}

// send puts a burst on the wire and ends the session when that is pointless.
func (l *loop) send(s *session, b burst, now time.Time) {
	switch err := l.transmit(s, b); {
	case errors.Is(err, errGone):
		l.gone(s, now)
	case errors.Is(err, errContent):
		_, _ = unix.Write(s.fd, errorPacket(codeUndefined, "file cannot be read"))
		l.finish(s, Aborted, err.Error(), now)
	}
}

// transmit treats every error but a refusal as a lost packet.
func (l *loop) transmit(s *session, b burst) error {
	if b.oack {
		l.show(s, s.oack, true, true)
		_, err := unix.Write(s.fd, s.oack)
		return gone(err)
	}
	for from := b.from; from < b.to; {
		count := min(b.to-from, s.perWrite())
		p, err := l.fill(s, from, from+count)
		if err != nil {
			return err
		}
		l.showData(s, p, from, from+count)
		err = sockets.Write(s.fd, p)
		if s.segmented && cannotSegment(err) {
			s.segmented = false
			_ = segment(s.fd, 0)
			continue
		}
		if gone(err) != nil {
			return errGone
		}
		from += count
	}
	return nil
}

// shownFirst is how many packets of a transfer are shown from its beginning.
const shownFirst = 12

func (l *loop) show(s *session, p []byte, sent, always bool) {
	if l.tap == nil || s.shown >= shownFirst && !always || s.shown > 4*shownFirst {
		return
	}
	s.shown++
	packet := Packet{At: l.now(), From: s.account.Client, To: s.local, Sent: sent, Data: p}
	if sent {
		packet.From, packet.To = packet.To, packet.From
	}
	l.tap(packet)
}

// showData shows the first block of a write, and the last of the file.
func (l *loop) showData(s *session, p []byte, from, to uint64) {
	if l.tap == nil {
		return
	}
	l.show(s, p[:4+s.length(from)], true, from == s.last)
	if last := to - 1; to > s.last && last != from {
		l.show(s, p[len(p)-4-s.length(last):], true, true)
	}
}

func gone(err error) error {
	if errors.Is(err, unix.ECONNREFUSED) {
		return errGone
	}
	return nil
}

// cannotSegment knows the ways in which a kernel, or a device without checksum
// offload, or a path whose MTU shrank, declines UDP_SEGMENT.
func cannotSegment(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EMSGSIZE)
}

func (s *session) perWrite() uint64 {
	if !s.segmented {
		return 1
	}
	return uint64(min(maxSegments, max(1, maxSegmented/(s.blksize+4))))
}

// fill builds the blocks from to (exclusive) one after the other.
func (l *loop) fill(s *session, from, to uint64) ([]byte, error) {
	n := 0
	for block := from; block < to; block++ {
		size := s.length(block)
		p := l.out[n : n+4+size]
		putDataHeader(p, block)
		got, _ := s.file.Content.ReadAt(p[4:], int64(block-1)*int64(s.blksize))
		if got != size {
			return nil, errContent
		}
		n += len(p)
	}
	return l.out[:n], nil
}
