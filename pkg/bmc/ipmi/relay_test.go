package ipmi

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/types"
)

// relay stands between a driver and a BMC and loses or adds packets.
type relay struct {
	address  string
	drop     atomic.Value // func(answer bool, length int) bool
	inject   atomic.Value // [][]byte, sent before every answer
	injected atomic.Int64
}

func startRelay(t *testing.T, to string) *relay {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: front.LocalAddr().String()}
	r.drop.Store(func(bool, int) bool { return false })
	r.inject.Store([][]byte(nil))
	var console atomic.Value
	var wait sync.WaitGroup
	wait.Go(func() {
		p := make([]byte, 2048)
		for {
			n, from, err := front.ReadFrom(p)
			if err != nil {
				return
			}
			console.Store(from)
			if !r.drops(false, n) {
				_, _ = back.Write(p[:n])
			}
		}
	})
	wait.Go(func() {
		p := make([]byte, 2048)
		for {
			n, err := back.Read(p)
			if err != nil {
				return
			}
			to := console.Load().(net.Addr)
			for _, forged := range r.inject.Load().([][]byte) {
				_, _ = front.WriteTo(forged, to)
				r.injected.Add(1)
			}
			if !r.drops(true, n) {
				_, _ = front.WriteTo(p[:n], to)
			}
		}
	})
	t.Cleanup(func() {
		_ = front.Close()
		_ = back.Close()
		wait.Wait()
	})
	return r
}

func (r *relay) drops(answer bool, n int) bool {
	return r.drop.Load().(func(bool, int) bool)(answer, n)
}

// cyclesOf is how often the peer's machine was cycled. Nothing may cycle it
// afterwards: the field has no lock of its own, but a method of it has.
func cyclesOf(t *testing.T, p *peer) int {
	t.Helper()
	chassis := p.hal.Chassis().(*mock.Chassis)
	if _, err := chassis.PowerState(t.Context()); err != nil {
		t.Fatal(err)
	}
	return chassis.PowerCycles
}

func flagsOf(t *testing.T, p *peer) *types.BootOptionParam_BootFlags {
	t.Helper()
	flags, err := p.hal.Chassis().GetBootFlags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return flags
}
