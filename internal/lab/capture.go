package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// snapLen keeps all of a DHCP packet and little of a file.
	snapLen = 640
	// markerType is the EtherType for local experiments (IEEE 802).
	markerType = 0x88b5
	headerLen  = 14
)

// Frame is the beginning of one Ethernet frame.
type Frame struct {
	At   time.Time
	Data []byte // at most 640 bytes
}

// Dst is the hardware address that the frame goes to.
func (f Frame) Dst() net.HardwareAddr { return net.HardwareAddr(f.Data[0:6]) }

// Src is the hardware address that the frame claims to come from.
func (f Frame) Src() net.HardwareAddr { return net.HardwareAddr(f.Data[6:12]) }

// EtherType is the protocol of the payload.
func (f Frame) EtherType() uint16 { return binary.BigEndian.Uint16(f.Data[12:14]) }

// Concerns says whether the frame goes to mac or names it inside, as a broadcast DHCP reply does.
func (f Frame) Concerns(mac net.HardwareAddr) bool {
	return bytes.Equal(f.Dst(), mac) || bytes.Contains(f.Data[headerLen:], mac)
}

// Capture records every frame that crosses the switch.
type Capture struct {
	// Path is a pcap file with all of it, complete when the test has ended.
	Path string

	conn   *packet.Conn
	inject *packet.Conn
	file   *os.File
	done   chan struct{}

	mu      sync.Mutex
	frames  []Frame
	err     error
	markers uint64
	seen    uint64
	more    *sync.Cond
}

// Capture starts to record at once; the record ends with the test and lies in Dir as NAME.pcap.
func (l *Lab) Capture(name string) *Capture {
	l.t.Helper()
	c := &Capture{Path: filepath.Join(l.dir, name+".pcap"), done: make(chan struct{})}
	c.more = sync.NewCond(&c.mu)
	if err := l.sw.do(c.open); err != nil {
		l.t.Fatalf("capturing: %v", err)
	}
	file, err := createPcap(c.Path)
	if err != nil {
		c.conn.Close()
		c.inject.Close()
		l.t.Fatalf("capturing: %v", err)
	}
	c.file = file
	go c.run()
	l.t.Cleanup(func() {
		c.conn.Close()
		<-c.done
		c.inject.Close()
		c.file.Close()
	})
	return c
}

func (c *Capture) open() error {
	ifi, err := net.InterfaceByName(bridge)
	if err != nil {
		return err
	}
	truncate, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: snapLen}})
	if err != nil {
		return err
	}
	if c.conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: truncate}); err != nil {
		return err
	}
	// A bridge in promiscuous mode sees what it forwards, not only what is for itself.
	if err := errors.Join(c.conn.SetPromiscuous(true), enlarge(c.conn)); err != nil {
		c.conn.Close()
		return err
	}
	if c.inject, err = packet.Listen(ifi, packet.Raw, markerType, nil); err != nil {
		c.conn.Close()
		return err
	}
	return nil
}

func enlarge(conn *packet.Conn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20)
	})
	return errors.Join(err, failed)
}

func (c *Capture) run() {
	defer close(c.done)
	buf := make([]byte, 65536)
	for {
		n, _, err := c.conn.ReadFrom(buf)
		c.mu.Lock()
		if err == nil && n >= headerLen {
			err = c.add(Frame{At: time.Now(), Data: bytes.Clone(buf[:n])})
		}
		if err != nil {
			c.err = err
			c.more.Broadcast()
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
}

func (c *Capture) add(f Frame) error {
	if f.EtherType() == markerType {
		c.seen = binary.BigEndian.Uint64(f.Data[headerLen:])
		c.more.Broadcast()
		return nil
	}
	c.frames = append(c.frames, f)
	c.more.Broadcast()
	return writePcap(c.file, f)
}

// Frames returns all frames so far that keep says yes to; a nil keep is yes to all. Whatever crossed the
// switch before the call is in it, or the test fails.
func (c *Capture) Frames(t testing.TB, keep func(Frame) bool) []Frame {
	t.Helper()
	if err := c.sync(); err != nil {
		t.Fatalf("capture: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept []Frame
	for _, f := range c.frames {
		if keep == nil || keep(f) {
			kept = append(kept, f)
		}
	}
	return kept
}

// Wait returns the first frame, past or future, that match says yes to.
func (c *Capture) Wait(ctx context.Context, match func(Frame) bool) (Frame, error) {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.more.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for next := 0; ; {
		for ; next < len(c.frames); next++ {
			if match(c.frames[next]) {
				return c.frames[next], nil
			}
		}
		if err := errors.Join(c.err, ctx.Err()); err != nil {
			return Frame{}, fmt.Errorf("waiting for a frame: %w", err)
		}
		c.more.Wait()
	}
}

// sync sends a marker over the switch and waits until the capture has read it: then it has read all that
// went before. A capture that lost a frame proves nothing, so that is an error.
func (c *Capture) sync() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.markers++
	frame := make([]byte, 60)
	copy(frame, []byte{0x02, 0, 0, 0, 0, 0xfe, 0x02, 0, 0, 0, 0, 0xff})
	binary.BigEndian.PutUint16(frame[12:], markerType)
	binary.BigEndian.PutUint64(frame[headerLen:], c.markers)
	if _, err := c.inject.WriteTo(frame, &packet.Addr{HardwareAddr: frame[0:6]}); err != nil {
		return fmt.Errorf("sending a marker: %w", err)
	}
	for c.seen < c.markers && c.err == nil {
		c.more.Wait()
	}
	if c.err != nil {
		return c.err
	}
	stats, err := c.conn.Stats()
	if err != nil {
		return fmt.Errorf("reading the socket's losses: %w", err)
	}
	if stats.Drops > 0 {
		return fmt.Errorf("%d frames were lost", stats.Drops)
	}
	return nil
}

// From returns the frames that mac sent.
func (c *Capture) From(t testing.TB, mac net.HardwareAddr) []Frame {
	t.Helper()
	return c.Frames(t, func(f Frame) bool { return bytes.Equal(f.Src(), mac) })
}

// Request matches the start of an HTTP request that mac sends for a path that begins so.
func Request(mac net.HardwareAddr, method, path string) func(Frame) bool {
	line := []byte(method + " " + path)
	return func(f Frame) bool { return bytes.Equal(f.Src(), mac) && bytes.Contains(f.Data, line) }
}

// Datagram matches a UDP datagram over IPv4 that mac sent to a port.
func Datagram(mac net.HardwareAddr, port uint16) func(Frame) bool {
	return func(f Frame) bool {
		header, _ := f.udp()
		return bytes.Equal(f.Src(), mac) && header != nil && binary.BigEndian.Uint16(header[2:]) == port
	}
}

// TFTPRequest matches a request that mac sends for a file, in whichever folder (RFC 1350 section 5).
func TFTPRequest(mac net.HardwareAddr, file string) func(Frame) bool {
	sent := Datagram(mac, 69)
	return func(f Frame) bool {
		if !sent(f) {
			return false
		}
		_, payload := f.udp()
		if len(payload) < 2 || binary.BigEndian.Uint16(payload) != 1 {
			return false
		}
		name, _, _ := bytes.Cut(payload[2:], []byte{0})
		return path.Base(string(name)) == file
	}
}

// OfferedAddress is yiaddr of a DHCP server's message (RFC 2131 section 2), 0.0.0.0 when it offers none.
func OfferedAddress(f Frame) (addr netip.Addr, ok bool) {
	header, payload := f.udp()
	if header == nil || len(payload) < 240 || payload[0] != 2 {
		return netip.Addr{}, false
	}
	if from := binary.BigEndian.Uint16(header); from != 67 && from != 4011 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(payload[16:20])), true
}

// udp is the header and the payload of an unfragmented UDP datagram over IPv4; nil when f is none.
func (f Frame) udp() (header, payload []byte) {
	if f.EtherType() != unix.ETH_P_IP || len(f.Data) < headerLen+20 {
		return nil, nil
	}
	ip := f.Data[headerLen:]
	size := int(ip[0]&0x0f) * 4
	if ip[9] != unix.IPPROTO_UDP || len(ip) < size+8 {
		return nil, nil
	}
	return ip[size : size+8], ip[size+8:]
}

// NoneFromTo fails the test when from sent anything to or about to. It also fails when to itself said
// nothing, because silence towards the silent proves nothing.
func (c *Capture) NoneFromTo(t testing.TB, from, to net.HardwareAddr) {
	t.Helper()
	if len(c.From(t, to)) == 0 {
		t.Errorf("%s sent nothing: that it got no answer proves nothing", to)
	}
	for _, f := range c.From(t, from) {
		if f.Concerns(to) {
			t.Errorf("%s sent a frame to or about %s:\n% x", from, to, f.Data)
		}
	}
}

// createPcap begins a file of Ethernet frames (https://www.ietf.org/archive/id/draft-gharris-opsawg-pcap-01.html).
func createPcap(path string) (*os.File, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	header := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	header = binary.LittleEndian.AppendUint16(header, 2)
	header = binary.LittleEndian.AppendUint16(header, 4)
	header = binary.LittleEndian.AppendUint64(header, 0)
	header = binary.LittleEndian.AppendUint32(header, snapLen)
	header = binary.LittleEndian.AppendUint32(header, 1)
	if _, err := file.Write(header); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func writePcap(file *os.File, f Frame) error {
	record := binary.LittleEndian.AppendUint32(nil, uint32(f.At.Unix()))
	record = binary.LittleEndian.AppendUint32(record, uint32(f.At.Nanosecond()/1000))
	record = binary.LittleEndian.AppendUint32(record, uint32(len(f.Data)))
	record = binary.LittleEndian.AppendUint32(record, uint32(len(f.Data)))
	_, err := file.Write(append(record, f.Data...))
	return err
}
