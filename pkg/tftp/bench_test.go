package tftp

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
)

// BenchmarkTransfer carries 1 MiB to one client. Allocations are those of the
// server and the bare client below, which makes next to none.
func BenchmarkTransfer(b *testing.B) {
	file := content(1 << 20)
	for _, c := range []struct {
		name    string
		s       Server
		options string
	}{
		{"lockstep-512/pin", Server{force: carryPin}, ""},
		{"lockstep-512/own", Server{force: carryOwn}, ""},
		{"lockstep-1468/own", Server{force: carryOwn}, "blksize=1468"},
		{"window-4/own", Server{force: carryOwn}, "blksize=1468 windowsize=4"},
		{"window-16/own", Server{force: carryOwn}, "blksize=1468 windowsize=16"},
		{"window-16/own-unsegmented", Server{force: carryOwn, noSegment: true}, "blksize=1468 windowsize=16"},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.s.Open = shelf{"a": file}.open
			c.s.Observe = func(Transfer) {}
			server, _ := serve(b, &c.s)
			buf := make([]byte, 1<<16)
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				drain(b, server, fetch{name: "a", options: c.options}.request(), len(file), buf)
			}
		})
	}
}

// drain fetches without loss, time limits or storage.
func drain(b *testing.B, server netip.AddrPort, request []byte, size int, buf []byte) {
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if _, err := c.WriteToUDPAddrPort(request, server); err != nil {
		b.Fatal(err)
	}
	ack := []byte{0, opACK, 0, 0}
	window, since, got := 1, 0, 0
	for expected := uint16(1); got < size; {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			b.Fatal(err)
		}
		if buf[1] == opOACK {
			window = oackNumber(oackText(buf[:n]), "windowsize", 1)
		} else {
			if binary.BigEndian.Uint16(buf[2:]) != expected {
				continue
			}
			got += n - 4
			copy(ack[2:], buf[2:4])
			expected++
			if since++; since < window && got < size {
				continue
			}
			since = 0
		}
		if _, err := c.WriteToUDPAddrPort(ack, from); err != nil {
			b.Fatal(err)
		}
	}
	// A size that fills its last block ends with an empty one.
	if n := bytes.Count(request, []byte("blksize")); n == 0 && size%defaultBlksize == 0 {
		if _, from, err := c.ReadFromUDPAddrPort(buf); err == nil {
			binary.BigEndian.PutUint16(ack[2:], binary.BigEndian.Uint16(buf[2:]))
			_, _ = c.WriteToUDPAddrPort(ack, from)
		}
	}
}
