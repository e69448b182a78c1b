package flight

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Packet is one UDP datagram between a machine and the daemon. The socket
// layer has no headers of it: they are made again for the pcap file, with the
// machine's MAC and a made-up one for the daemon.
type Packet struct {
	At     time.Time
	Node   string   // empty for a machine that the plan does not name
	MAC    site.MAC // of the machine
	From   netip.AddrPort
	To     netip.AddrPort
	Answer bool   // from the daemon
	Data   []byte // copied
	Keep   int    // bytes of Data that are kept; zero means all
}

// Packet keeps a packet in the machine's pcap file. It neither blocks nor
// fails.
func (r *Recorder) Packet(p Packet) {
	if r.o.Dir == "" {
		return
	}
	if p.At.IsZero() {
		p.At = r.o.Clock()
	}
	e := Entry{Node: p.Node, MAC: p.MAC}
	t := r.trackOf(e.key(), p.Node == "")
	if t == nil {
		r.dropped.Add(1)
		return
	}
	if _, ok := t.packets.take(p.At); !ok {
		r.dropped.Add(1)
		return
	}
	if r.waiting.Add(1) > backlog {
		r.waiting.Add(-1)
		r.dropped.Add(1)
		return
	}
	if t.addPacket(p) {
		r.enqueue(t)
	}
}

// Pcap writes the packets of a machine between two times, of which either may
// be zero, as a pcap file. It writes a file without packets for a machine
// without any.
func (r *Recorder) Pcap(ctx context.Context, w io.Writer, node string, since, until time.Time) (packets int, err error) {
	if err := r.Sync(ctx); err != nil {
		return 0, err
	}
	if _, err := w.Write(pcapHeader()); err != nil {
		return 0, err
	}
	path := r.writer.path(node, suffixPackets)
	for _, name := range []string{path + suffixOlder, path} {
		data, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return packets, fmt.Errorf("reading the packets of %s: %w", node, err)
		}
		for at, record := range pcapRecords(data) {
			if at.Before(since) || !until.IsZero() && at.After(until) {
				continue
			}
			if _, err := w.Write(record); err != nil {
				return packets, err
			}
			packets++
		}
	}
	return packets, nil
}

const (
	pcapMagic    = 0xa1b2c3d4 // microseconds, in the writer's byte order
	pcapHeadSize = 24
	pcapRecSize  = 16
	linkEthernet = 1
	snapLength   = 65535
	maxRecord    = 64 << 10
	etherSize    = 14
	ipSize       = 20
	udpSize      = 8
)

// pcapHeader begins a file (draft-gharris-opsawg-pcap).
func pcapHeader() []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, pcapHeadSize), pcapMagic)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, snapLength)
	return binary.LittleEndian.AppendUint32(b, linkEthernet)
}

// daemonMAC stands for the daemon's card in files of packets.
func daemonMAC() site.MAC { return site.MAC{0x02, 0x52, 0x53, 0, 0, 1} }

// appendRecord writes a packet as the pcap file has it.
func appendRecord(b []byte, p Packet) []byte {
	if b == nil {
		b = make([]byte, 0, 2<<10) // question and answer of one exchange
	}
	kept := min(len(p.Data), 9000)
	if p.Keep > 0 {
		kept = min(kept, p.Keep)
	}
	const headers = etherSize + ipSize + udpSize
	at := p.At.UTC()
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(b, uint32(headers+kept))
	b = binary.LittleEndian.AppendUint32(b, uint32(headers+len(p.Data)))
	return appendFrame(b, p, kept)
}

func appendFrame(b []byte, p Packet, kept int) []byte {
	source, target := p.MAC, daemonMAC()
	from, to := addr4(p.From.Addr()), addr4(p.To.Addr())
	if p.Answer {
		source, target = target, source
	}
	if to == [4]byte{255, 255, 255, 255} {
		target = site.MAC{255, 255, 255, 255, 255, 255}
	}
	b = append(append(append(b, target[:]...), source[:]...), 0x08, 0x00)
	ip, length := len(b), ipSize+udpSize+len(p.Data)
	b = append(b, 0x45, 0, byte(length>>8), byte(length), 0, 0, 0x40, 0, 64, 17, 0, 0)
	b = append(append(b, from[:]...), to[:]...)
	binary.BigEndian.PutUint16(b[ip+10:], ^checksum(b[ip:]))
	b = binary.BigEndian.AppendUint16(b, p.From.Port())
	b = binary.BigEndian.AppendUint16(b, p.To.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udpSize+len(p.Data)))
	// RFC 768: zero means that no checksum was computed, which is so.
	return append(append(b, 0, 0), p.Data[:kept]...)
}

func addr4(a netip.Addr) [4]byte {
	if a = a.Unmap(); a.Is4() {
		return a.As4()
	}
	return [4]byte{}
}

// checksum is the Internet checksum's sum (RFC 1071), not inverted.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// pcapRecords gives the records of a file with their times. A record that is
// cut short, as a power cut leaves it, ends the file.
func pcapRecords(data []byte) func(func(time.Time, []byte) bool) {
	return func(yield func(time.Time, []byte) bool) {
		if len(data) < pcapHeadSize || binary.LittleEndian.Uint32(data) != pcapMagic {
			return
		}
		for data = data[pcapHeadSize:]; len(data) >= pcapRecSize; {
			size := binary.LittleEndian.Uint32(data[8:])
			if size > maxRecord || int(size) > len(data)-pcapRecSize {
				return
			}
			at := time.Unix(int64(binary.LittleEndian.Uint32(data)), int64(binary.LittleEndian.Uint32(data[4:]))*1000).UTC()
			if !yield(at, data[:pcapRecSize+size]) {
				return
			}
			data = data[pcapRecSize+size:]
		}
	}
}
