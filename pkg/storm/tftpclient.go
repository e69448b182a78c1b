package storm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// Opcodes (RFC 1350, RFC 2347).
const (
	opRRQ   = 1
	opData  = 3
	opACK   = 4
	opError = 5
	opOACK  = 6
)

// castagnoli is computed by the processor; it compares downloads, it does not
// protect them.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// tftpTransfer is one client and what became of its download.
type tftpTransfer struct {
	config TFTPConfig
	from   netip.Addr // source address; the zero Addr lets the kernel choose
	conn   *net.UDPConn
	lose   *rand.Rand // nil without loss
	counts *tally

	peer       netip.AddrPort // the server's port for this transfer, once known
	blockSize  int
	windowSize int
	probing    bool
	expect     uint16 // next block in order; block numbers roll over
	inWindow   int    // blocks since the last ACK
	gap        bool   // the hole before expect has been reported
	last       []byte // what to send again on silence
	packet     [4]byte

	bytes         int64
	sum           uint32
	retransmitted int
	duplicates    int
	elapsed       time.Duration
	err           error
}

// tftpGet downloads once. i numbers the client for the seed of its losses.
func tftpGet(ctx context.Context, c TFTPConfig, i int, from netip.Addr, counts *tally) tftpTransfer {
	t := tftpTransfer{config: c, from: from, counts: counts}
	if c.Loss > 0 {
		t.lose = rand.New(rand.NewPCG(c.Seed, uint64(i)))
	}
	start := time.Now()
	t.err = t.run(ctx)
	t.elapsed = time.Since(start)
	if t.err != nil {
		counts.failed.Add(1)
	} else {
		counts.done.Add(1)
	}
	return t
}

func (t *tftpTransfer) run(ctx context.Context) error {
	if t.config.Probe {
		t.probing = true
		if err := t.session(ctx); err != nil {
			return fmt.Errorf("asking for the size: %w", err)
		}
		t.probing = false
	}
	return t.session(ctx)
}

// session is one request from one port (RFC 1350 section 4: a new TID each).
func (t *tftpTransfer) session(ctx context.Context) error {
	var local *net.UDPAddr
	if t.from.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.from, 0))
	}
	conn, err := net.ListenUDP("udp4", local)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	t.conn, t.peer = conn, netip.AddrPort{}
	t.blockSize, t.windowSize, t.expect, t.inWindow = 512, 1, 1, 0
	if err := t.send(t.request()); err != nil {
		return err
	}
	return t.receive(ctx)
}

func (t *tftpTransfer) request() []byte {
	b := binary.BigEndian.AppendUint16(nil, opRRQ)
	for _, s := range []string{t.config.File, "octet", "tsize", "0", "blksize", strconv.Itoa(t.config.BlockSize)} {
		b = append(append(b, s...), 0)
	}
	if t.config.WindowSize > 1 {
		b = append(append(b, "windowsize"...), 0)
		b = append(append(b, strconv.Itoa(t.config.WindowSize)...), 0)
	}
	return b
}

// send remembers b and sends it, unless this datagram is one that gets lost.
func (t *tftpTransfer) send(b []byte) error {
	t.last = b
	if t.lost() {
		return nil
	}
	to := t.peer
	if !to.IsValid() {
		to = t.config.Server
	}
	if _, err := t.conn.WriteToUDPAddrPort(b, to); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}

func (t *tftpTransfer) lost() bool { return t.lose != nil && t.lose.Float64() < t.config.Loss }

var errNoAnswer = errors.New("no answer")

// receive runs the session to its end.
func (t *tftpTransfer) receive(ctx context.Context) error {
	buf := make([]byte, max(t.config.BlockSize, 512)+4)
	tries := 1
	wake := time.Now().Add(t.config.Timeout)
	if err := t.deadline(ctx, wake); err != nil {
		return err
	}
	for {
		n, from, err := t.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if tries++; tries > t.config.Tries {
				return errNoAnswer
			}
			t.retransmitted++
			if err := t.send(t.last); err != nil {
				return err
			}
			wake = time.Now().Add(t.config.Timeout)
			if err := t.deadline(ctx, wake); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("receiving: %w", err)
		}
		if t.lost() || !t.ours(from) {
			continue
		}
		advanced, done, err := t.take(buf[:n])
		if done || err != nil {
			return err
		}
		if advanced {
			tries = 1
			// Moving the deadline costs more than a datagram: do it rarely.
			if now := time.Now(); wake.Sub(now) < t.config.Timeout*7/8 {
				wake = now.Add(t.config.Timeout)
				if err := t.deadline(ctx, wake); err != nil {
					return err
				}
			}
		}
	}
}

// deadline moves the read deadline without undoing the one that a cancelled
// context has set meanwhile.
func (t *tftpTransfer) deadline(ctx context.Context, at time.Time) error {
	if err := t.conn.SetReadDeadline(at); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	return ctx.Err()
}

// ours tells whether the datagram comes from the server of this transfer; the
// first answer fixes its port.
func (t *tftpTransfer) ours(from netip.AddrPort) bool {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if !t.peer.IsValid() {
		if from.Addr() != t.config.Server.Addr().Unmap() {
			return false
		}
		t.peer = from
	}
	return from == t.peer
}

// take handles one datagram.
func (t *tftpTransfer) take(b []byte) (advanced, done bool, err error) {
	if len(b) < 4 {
		return false, false, nil
	}
	switch binary.BigEndian.Uint16(b) {
	case opOACK:
		if t.expect != 1 || t.bytes > 0 {
			return false, false, nil
		}
		if err := t.negotiated(b[2:]); err != nil {
			return false, true, err
		}
		if t.probing {
			// The size was all that was wanted. Firmware hangs up with an error.
			return true, true, t.send([]byte{0, opError, 0, 8, 's', 'i', 'z', 'e', 0})
		}
		return true, false, t.ack(0)
	case opData:
		return t.data(binary.BigEndian.Uint16(b[2:]), b[4:])
	case opError:
		reason, _, _ := strings.Cut(string(b[4:]), "\x00")
		return false, true, fmt.Errorf("server says error %d: %s", binary.BigEndian.Uint16(b[2:]), reason)
	}
	return false, false, nil
}

// negotiated reads an OACK (RFC 2347): pairs of strings, names in any case.
func (t *tftpTransfer) negotiated(b []byte) error {
	parts := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		n, err := strconv.Atoi(parts[i+1])
		if err != nil || n < 0 {
			return fmt.Errorf("server answers option %s with %q", parts[i], parts[i+1])
		}
		switch name := strings.ToLower(parts[i]); {
		case name == "blksize" && n >= 8 && n <= t.config.BlockSize:
			t.blockSize = n
		case name == "windowsize" && n >= 1 && n <= t.config.WindowSize:
			t.windowSize = n
		case name == "blksize" || name == "windowsize":
			return fmt.Errorf("server wants %s %d, which is more than was asked for", name, n)
		}
	}
	return nil
}

func (t *tftpTransfer) data(block uint16, payload []byte) (advanced, done bool, err error) {
	if t.probing {
		// A server without options has no size to tell.
		return true, true, t.send([]byte{0, opError, 0, 0, 's', 'i', 'z', 'e', 0})
	}
	if len(payload) > t.blockSize {
		return false, true, fmt.Errorf("block of %d octets, agreed on %d", len(payload), t.blockSize)
	}
	if block != t.expect {
		return false, false, t.outOfOrder(block)
	}
	t.expect++
	t.gap = false
	t.bytes += int64(len(payload))
	t.sum = crc32.Update(t.sum, castagnoli(), payload)
	t.counts.bytes.Add(int64(len(payload)))
	t.inWindow++
	done = len(payload) < t.blockSize
	if done || t.inWindow >= t.windowSize {
		err = t.ack(block)
	}
	return true, done, err
}

// outOfOrder reports a hole once (RFC 7440 section 4). A block seen before is
// acknowledged again only where the server may be waiting for it: at the end
// of what has been received.
func (t *tftpTransfer) outOfOrder(block uint16) error {
	behind := t.expect - block // modulo 2^16
	if behind < 1<<15 {
		t.duplicates++
		if behind == 1 {
			return t.ack(t.expect - 1)
		}
		return nil
	}
	if t.gap {
		return nil
	}
	t.gap = true
	return t.ack(t.expect - 1)
}

func (t *tftpTransfer) ack(block uint16) error {
	t.inWindow = 0
	binary.BigEndian.PutUint16(t.packet[0:], opACK)
	binary.BigEndian.PutUint16(t.packet[2:], block)
	return t.send(t.packet[:])
}
