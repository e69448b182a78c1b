package tftp

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"
)

// The Sorcerer's Apprentice: when every ACK arrives twice, every block must still
// be sent once.
func TestSorcerersApprentice(t *testing.T) {
	const blocks = 400
	want := content(blocks*512 - 1)
	eachSender(t, func(t *testing.T, s *Server) {
		for _, o := range []string{"", "blksize=512", "windowsize=4", "windowsize=16"} {
			s.Open = shelf{"a": want}.open
			server, reports := serve(t, s)
			r := newRelay(t, server, 0, true)
			got, err := fetch{name: "a", options: o, wait: 20 * time.Second}.from(r.addr())
			if err != nil || !bytes.Equal(got.data, want) {
				t.Fatalf("%q: %d bytes, %v", o, len(got.data), err)
			}
			resent := int64((<-reports).Resent)
			// A machine that stalls may let a timer expire; nothing else may repeat.
			if n := r.data.Load(); n > blocks+resent || resent > blocks/4 {
				t.Errorf("%q: %d DATA packets for %d blocks, %d resent", o, n, blocks, resent)
			}
		}
	})
}

// Block numbers have 16 bits and files do not.
func TestRollover(t *testing.T) {
	eachSender(t, func(t *testing.T, s *Server) {
		for _, c := range []struct {
			options string
			blksize int
		}{{"blksize=8 windowsize=64", 8}, {"blksize=512 windowsize=16", 512}, {"blksize=8", 8}, {"", 512}} {
			if s.force == carryPin {
				c.blksize = 512 // it is given no options
			}
			if c.blksize == 512 && (testing.Short() || s.force == carryBest) {
				continue
			}
			want := content(c.blksize * (65536 + 700))
			s.Open = shelf{"a": want}.open
			server, _ := serve(t, s)
			got, err := fetch{name: "a", options: c.options}.from(server)
			if err != nil || !bytes.Equal(got.data, want) {
				t.Errorf("%q: %d bytes of %d, %v", c.options, len(got.data), len(want), err)
			}
		}
	})
}

// A hall of machines on a bad network: all of them get their loader.
func TestStormWithLoss(t *testing.T) {
	clients, size := 500, 100_000
	if testing.Short() || raceEnabled {
		clients = 100
	}
	want := content(size)
	server, _ := serve(t, &Server{Open: shelf{"a": want}.open, MaxPerClient: clients, Observe: func(Transfer) {}})
	r := newRelay(t, server, 0.05, false)
	options := []string{"blksize=1468 tsize=0 windowsize=4", "blksize=1432 tsize=0", "blksize=1468 windowsize=16", "blksize=1456"}
	failed := make(chan error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			got, err := fetch{name: "a", options: options[i%len(options)], retries: 20}.from(r.addr())
			if err != nil || !bytes.Equal(got.data, want) {
				failed <- fmt.Errorf("client %d: %d bytes: %w", i, len(got.data), err)
			}
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
}
