package storm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/internal/sockets"
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
	ctx    context.Context
	config TFTPConfig
	from   netip.Addr // source address; the zero Addr lets the kernel choose
	lose   *rand.Rand // nil without loss
	counts *tally

	fd      int
	started time.Time
	wake    time.Time // when to ask again
	tries   int       // without progress

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
	ended         chan struct{} // closed when all of this is final
}

// open makes the socket of one request: a new TID each (RFC 1350 section 4).
func (t *tftpTransfer) open() (err error) {
	t.peer, t.tries = netip.AddrPort{}, 1
	t.blockSize, t.windowSize, t.expect, t.inWindow = 512, 1, 1, 0
	if t.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	if !t.from.IsValid() {
		return nil
	}
	if err := unix.Bind(t.fd, &unix.SockaddrInet4{Addr: t.from.As4()}); err != nil {
		_ = unix.Close(t.fd)
		return fmt.Errorf("taking the address %s: %w", t.from, err)
	}
	return nil
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
func (t *tftpTransfer) send(b []byte) (err error) {
	t.last = b
	if t.lost() {
		return nil
	}
	if t.peer.IsValid() {
		err = sockets.Write(t.fd, b)
	} else {
		err = unix.Sendto(t.fd, b, 0, sockaddr(t.config.Server))
	}
	if err != nil && !passing(err) {
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}

// passing knows what is as good as a lost datagram: no room in a queue, and a
// server that has closed its port, perhaps to open it again.
func passing(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ECONNREFUSED)
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().Unmap().As4()}
}

func (t *tftpTransfer) lost() bool { return t.lose != nil && t.lose.Float64() < t.config.Loss }

var errNoAnswer = errors.New("no answer")

// read takes a datagram of the server's; n is zero for what is none, and none is
// told when there is nothing more. The first fixes the server's port, and from
// then on the kernel lets no other through.
func (t *tftpTransfer) read(b []byte) (n int, none bool, err error) {
	if t.peer.IsValid() {
		n, err = sockets.Read(t.fd, b)
	} else {
		n, err = t.first(b)
	}
	switch {
	case err == nil:
		return n, false, nil
	case errors.Is(err, unix.EAGAIN):
		return 0, true, nil
	case passing(err):
		return 0, false, nil
	default:
		return 0, false, fmt.Errorf("receiving: %w", err)
	}
}

func (t *tftpTransfer) first(b []byte) (int, error) {
	n, name, err := unix.Recvfrom(t.fd, b, 0)
	if err != nil {
		return 0, err
	}
	from, ok := name.(*unix.SockaddrInet4)
	if !ok || netip.AddrFrom4(from.Addr) != t.config.Server.Addr().Unmap() {
		return 0, nil
	}
	t.peer = netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
	return n, unix.Connect(t.fd, from)
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
