package storm

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/ipv4"
)

// echoServer answers DISCOVER and REQUEST with as little work as can be: it
// turns the packet round and derives the address from the MAC. It is the double
// against which the generator's own speed is measured.
type echoServer struct {
	addr netip.AddrPort
	// answer may change a reply or return false to keep silent.
	answer func(kind byte, client uint32, reply []byte) bool
}

func startEcho(t testing.TB, answer func(kind byte, client uint32, reply []byte) bool) *echoServer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(8 << 20)
	e := &echoServer{addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), answer: answer}
	var done sync.WaitGroup
	done.Go(func() { e.serve(conn) })
	t.Cleanup(func() {
		conn.Close()
		done.Wait()
	})
	return e
}

func (e *echoServer) serve(conn *net.UDPConn) {
	pc := ipv4.NewPacketConn(conn)
	in := make([]ipv4.Message, batch)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 1500)}
	}
	out := make([]ipv4.Message, 0, batch)
	for {
		n, err := pc.ReadBatch(in, 0)
		if err != nil {
			return
		}
		out = out[:0]
		for _, m := range in[:n] {
			b := m.Buffers[0][:m.N]
			kind := b[offOptions+2]
			echoReply(b)
			if e.answer == nil || e.answer(kind, clientOf(b), b) {
				out = append(out, ipv4.Message{Buffers: [][]byte{b}, Addr: m.Addr})
			}
		}
		for sent := 0; sent < len(out); {
			n, err := pc.WriteBatch(out[sent:], 0)
			if err != nil {
				return
			}
			sent += n
		}
	}
}

// echoReply turns a request of the generator's template into its answer: the
// message type is the first option there.
func echoReply(b []byte) {
	b[0] = 2
	b[offYIAddr] = 10
	copy(b[offYIAddr+1:offYIAddr+4], b[offCHAddr+3:offCHAddr+6])
	if kind := &b[offOptions+2]; *kind == msgDiscover {
		*kind = msgOffer
	} else {
		*kind = msgACK
	}
}

func clientOf(b []byte) uint32 {
	return uint32(b[offCHAddr+3])<<16 | uint32(b[offCHAddr+4])<<8 | uint32(b[offCHAddr+5])
}

// BenchmarkGenerator measures exchanges per second of generator and echo
// together, on one host.
func BenchmarkGenerator(b *testing.B) {
	e := startEcho(b, nil)
	r, err := DHCP(context.Background(), DHCPConfig{
		Server: e.addr, Port: freePort(b), Clients: 512, Repeat: 1 + b.N/512, InFlight: 256, Limit: 1 << 40,
	})
	if err != nil {
		b.Fatal(err)
	}
	p := r.Cold
	if r.Warm != nil {
		p = *r.Warm
	}
	b.ReportMetric(p.PerSecond, "exchanges/s")
	b.ReportMetric(float64(p.Retransmitted), "retransmitted")
	b.ReportMetric(0, "ns/op")
}
