package lab

import (
	"context"
	"net"
	"time"

	"github.com/mdlayher/packet"
)

// Announce has the machine's switch port send a frame every second until the
// test ends, as a switch speaks LLDP: to this port alone.
func (r *Running) Announce(frame []byte) {
	t := r.lab.t
	t.Helper()
	var conn *packet.Conn
	err := r.lab.sw.do(func() error {
		ifi, err := net.InterfaceByName(r.tap)
		if err != nil {
			return err
		}
		conn, err = packet.Listen(ifi, packet.Raw, 0x88cc, nil)
		return err
	})
	if err != nil {
		t.Fatalf("opening the switch port of %s: %v", r.name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			_, _ = conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}) // the machine may be off
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		conn.Close()
	})
}
