package tftp

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The tap shows how a transfer began and how it ended, not the file.
func TestTheTapShowsTheBeginningAndTheEnd(t *testing.T) {
	const size = 200*512 + 7
	var mu sync.Mutex
	var shown []string
	server, reports := serve(t, &Server{
		Open: shelf{"loader": make([]byte, size)}.open, force: carryOwn,
		Tap: func(p Packet) {
			mu.Lock()
			defer mu.Unlock()
			word := fmt.Sprint(binary.BigEndian.Uint16(p.Data), " ", len(p.Data))
			if p.Sent {
				word = "sent " + word
			}
			if p.From == p.To || !p.From.IsValid() || !p.To.IsValid() || p.At.IsZero() {
				t.Errorf("a packet from %s to %s at %s", p.From, p.To, p.At)
			}
			shown = append(shown, word)
		},
	})
	got, err := fetch{name: "loader", options: "tsize=0 blksize=512"}.from(server)
	if err != nil || len(got.data) != size {
		t.Fatalf("%d bytes, %v", len(got.data), err)
	}
	if r := <-reports; r.Asked != "tsize 0, blksize 512" {
		t.Errorf("the client asked for %q", r.Asked)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(shown) < 6 || len(shown) > 4*shownFirst+2 {
		t.Fatalf("%d packets were shown", len(shown))
	}
	if !strings.HasPrefix(shown[0], "1 ") || !strings.HasPrefix(shown[1], "sent 6 ") || shown[2] != "4 4" || shown[3] != "sent 3 516" {
		t.Errorf("it began with %v", shown[:4])
	}
	if !slices.Contains(shown, "sent 3 11") || shown[len(shown)-1] != "4 4" {
		t.Errorf("it ended with %v", shown[len(shown)-3:])
	}
}
